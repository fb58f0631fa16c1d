package launcher

// Bounds of what is before the policy plugin at once, of all users and of one,
// in bytes. Attack: a user asks about thirty command lines of the greatest
// length at once. Together they are more than the bus keeps for one subscriber
// (docs/wire.md, "Limits of the bus"), which then cuts the plugin off, and
// everybody's questions are lost with it.
const (
	maxAsked     = 6 << 20
	maxUserAsked = 1 << 20
)

// Bounds of the programs whose signatures are judged at once, of all users and
// of one. Attack: a user asks to run thirty small files with as much in their
// signatures as a reader takes; each is worth a hundred megabytes of memory and
// seconds of a processor, before policy has been asked.
const (
	maxJudged     = 8
	maxUserJudged = 1
)

// Bounds of all private copies together, and of one user's, in bytes. Attack:
// thirty requests for a huge file each fill the disk that the journal needs.
const (
	maxCopies     = 4 << 30
	maxUserCopies = 1 << 30
)

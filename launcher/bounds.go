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

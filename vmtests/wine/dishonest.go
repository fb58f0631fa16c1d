//go:build linux

package wine

// Dishonest is what Wine 10 says, or does, without its being so. Nothing that
// rests on these counts as having run on Windows: it belongs to a real machine.
var Dishonest = []struct{ What, How string }{
	{"accounts", "there is one user, who may do everything: access lists keep nobody out"},
	{"access lists", "of a list that is set, what a mode of Linux has room for is kept, and nothing else; OpenFileById takes no identity of 128 bits"},
	{"LogonUser", "any password is right, and the token is none; LoadUserProfile loads nothing"},
	{"tasks", "schtasks knows to create, change and delete; of a definition it keeps neither when, nor as whom, nor what, and nothing is ever run"},
	{"local groups", "members are not kept, and every group has the current user; NetUserSetInfo does not exist, and no account is logged on without a password"},
	{"integrity levels", "they are stored and never compared"},
	{"UAC", "tokens have a limited and an elevated side, and no access check knows"},
	{"sessions", "there is one, number 1, and services run in it; any other number has the same user's token"},
	{"first instance of a pipe", "FILE_FLAG_FIRST_PIPE_INSTANCE is not enforced"},
	{"names of a file, links", "FindFirstFileNameW and reparse points are missing: files with more than one name are never Protected, and links not met"},
	{"restricted tokens, app containers", "there are none: every caller is unconfined, and a reader of signatures can do what the service can"},
	{"limits of jobs, mitigations", "they are accepted, and neither kept nor enforced"},
	{"a process without a thread", "one whose creator is ended before it has given it one stays in its job for ever, and nothing ends it; nothing can run in it"},
	{"remote clients of a pipe", "there is no other machine"},
	{"services", "they have the limited token and no SID of their own (a build tag makes Wine's user pass for an administrator); without programs Windows shuts down"},
	{"recovery actions", "they are accepted, cannot be read, and a killed service stays RUNNING"},
	{"CNG", "no persisted key, and no ECDSA key through NCrypt"},
	{"WinVerifyTrust", "every root, purpose and date is trusted, and SHA-1 is believed"},
	{"upgrades of packages", "the removal of the version before passes for one of the product: UPGRADINGPRODUCTCODE is not set"},
	{"event tracing", "a trace is started and none can be opened"},
	{"event log", "what is written is not kept"},
	{"standard handles in a pseudo console", "they are not set: programs must open CONIN$ and CONOUT$"},
	{"Ctrl-Break", "it does not arrive when another process generates it"},
	{"Ctrl-C in a pseudo console", "typed there, it does not arrive at the program as an event"},
	{"programs of another system", "a file that is called like a program and holds a script of Linux is run, by Linux; of headers that it cannot read Wine says that the file is not there"},
	{"speed", "a process takes a tenth of a second; no duration means anything"},
}

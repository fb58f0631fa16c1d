package core

// Where a policy has a command run as whoever asks, as policies write it: in the login
// session that they ask from, or in the one that shows them windows. They are the types
// of tasks that run in these (AsUser, AsUserDesktop).
const (
	SessionAny     = "User"
	SessionDesktop = "UserDesktop"
)

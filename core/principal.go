package core

import "strings"

// UserID names a user as the kernel does: a decimal uid on Unix, a SID on
// Windows. It is compared, never computed with; platforms parse it and refuse
// values that mean "no user" (uid 4294967295, CVE-2019-14287).
type UserID string

// Unknown is whose part of every limit the users without an account have
// together (decision 32a). It is no user.
const Unknown UserID = "unknown"

// Kind is what sort of caller a Principal is.
type Kind uint8

// The kinds of caller. Public is the zero value so that an identity nobody
// filled in can do nothing (docs/wire.md, "Principals").
const (
	Public  Kind = iota
	User         // a local user
	Plugin       // a live process tree that we launched for a plugin
	JobRun       // a live process tree, or an Http task, of one run of one job
	Admin        // root or an elevated administrator
	Service      // this service itself
)

var kindNames = [...]string{"Public", "User", "Plugin", "JobRun", "Admin", "KeeperPrivilegeManager"}

// String returns the name that docs/wire.md uses.
func (k Kind) String() string { return kindNames[k] }

// Tier is a level of authority on the API (decision 10).
type Tier uint8

// The tiers from least to most; each includes those before it.
const (
	TierPublic Tier = iota
	TierUser
	TierPlugin
	TierAdmin
)

var tierNames = [...]string{"Public", "User", "Plugin", "Admin"}

// String returns the tier's published name.
func (t Tier) String() string { return tierNames[t] }

// Principal is a caller whose identity was established from the kernel and the
// launched-process registry, never from what the caller said about itself.
type Principal struct {
	Kind Kind
	User UserID
	// Name is the plugin id or the job id; empty for other kinds.
	Name string
	// Run identifies one run of a job; empty unless Kind is JobRun.
	Run string
	// Request is the elevation that a job run was started for, if any.
	Request RequestID
	// InUserSession is true for plugins and tasks that run as a user: they
	// carry no authority of their own (decision 27).
	InUserSession bool
}

// ServicePrincipal is this service, as a publisher on its own bus.
func ServicePrincipal() Principal { return Principal{Kind: Service} }

// Tier returns the API tier that the principal reaches.
func (p Principal) Tier() Tier {
	switch {
	case p.Kind == Admin || p.Kind == Service:
		return TierAdmin
	case (p.Kind == Plugin || p.Kind == JobRun) && !p.InUserSession:
		return TierPlugin
	case p.Kind == Public:
		return TierPublic
	}
	return TierUser
}

// String is the principal's name on the bus and in the journal: one topic
// level, stable, free of wildcards ("KeeperPolicy", "some-job", "User-1000").
func (p Principal) String() string {
	switch p.Kind {
	case Plugin, JobRun:
		return p.Name
	case User, Admin:
		return p.Kind.String() + "-" + string(p.User)
	}
	return p.Kind.String()
}

// ValidName reports whether s may be a plugin id, job id or client-id part:
// 1 to 64 letters, digits, dots, underscores and hyphens. MQTT wildcards and
// separators are out (CVE-2017-7650).
func ValidName(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			r == '.' || r == '_' || r == '-')
	}) < 0
}

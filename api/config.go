package api

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"kpm/api/local"
	"kpm/core"
	"kpm/core/fair"
	"kpm/core/view"
)

// Config is what a Server needs; every field without a stated default is
// required.
type Config struct {
	// Version is what /health reports.
	Version string
	// TLS holds the certificate of ServeTLS.
	TLS      *tls.Config
	Peers    Peers
	Identify Identifier
	// Administrators says what being root is not enough for.
	Administrators Administrators
	// Self is this process, whose connections are refused.
	Self     core.ProcessID
	Health   Health
	Plugins  Plugins
	Jobs     Jobs
	Settings Settings
	// PluginControl and Application serve administrators.
	PluginControl PluginControl
	Application   Application
	Doctor        Doctor
	LastKnownGood LastKnownGood
	Observed      Observed
	Factors       Factors
	// Refused is told of every 403, if it is not nil. It must not block.
	Refused   func(view.APIRefusal)
	Requests  Requests
	Approvals Approvals
	// ApprovalKeys is the key by which a help desk approves.
	ApprovalKeys ApprovalKeys
	// Notices are what people are to hear.
	Notices Notices
	// Prompts are what people are asked away from their requests.
	Prompts    Prompts
	Grants     Grants
	FileGrants FileGrants
	Rights     Rights
	Accounts   Accounts
	Elevator   local.Elevator
	// People are who the limits are counted for.
	People fair.People
	Limits Limits
	Log    *slog.Logger
}

func (c Config) complete() error {
	switch {
	case c.Peers == nil, c.Identify == nil, c.Self.PID == 0, c.Health == nil, c.Plugins == nil, c.Jobs == nil,
		c.Settings == nil, c.PluginControl == nil, c.Application == nil, c.Doctor == nil, c.LastKnownGood == nil, c.Observed == nil, c.Factors == nil, c.Approvals == nil, c.Requests == nil, c.Grants == nil, c.FileGrants == nil, c.Rights == nil, c.Accounts == nil, c.Elevator == nil, c.Log == nil:
		return errors.New("api: incomplete configuration")
	}
	return nil
}

// Limits of the API and the local door. Zero fields take the values of
// DefaultLimits.
type Limits struct {
	// Connections and ConnectionsPerUser bound open API connections; those who
	// come first count in all only.
	Connections, ConnectionsPerUser int
	// RequestsPerSecond and Burst bound what one user may ask of the API, and
	// how often one may connect; tiers Plugin and Admin are not bounded.
	RequestsPerSecond, Burst float64
	// Silent and SilentPerUser bound who is at the door and has not asked for
	// anything yet; Callers and CallersPerUser whose request is being dealt
	// with, up to the moment when the command runs.
	Silent, SilentPerUser   int
	Callers, CallersPerUser int
	// Turn is how long a user's callers beyond CallersPerUser wait for the others.
	Turn time.Duration
	// Request is the time for the first frame of a caller, descriptors
	// included; Write is the time a caller may take to accept a frame.
	Request, Write time.Duration
}

// DefaultLimits returns the limits of docs/wire.md and openapi.json.
func DefaultLimits() Limits {
	return Limits{
		Connections: 256, ConnectionsPerUser: 32,
		RequestsPerSecond: 100, Burst: 200,
		Silent: 2048, SilentPerUser: 1024,
		Callers: 1024, CallersPerUser: 128, Turn: time.Minute,
		Request: 3 * time.Second, Write: 2 * time.Second,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l.Connections = positive(l.Connections, d.Connections)
	l.ConnectionsPerUser = positive(l.ConnectionsPerUser, d.ConnectionsPerUser)
	l.RequestsPerSecond = positive(l.RequestsPerSecond, d.RequestsPerSecond)
	l.Burst = positive(l.Burst, d.Burst)
	l.Silent = positive(l.Silent, d.Silent)
	l.SilentPerUser = positive(l.SilentPerUser, d.SilentPerUser)
	l.Callers = positive(l.Callers, d.Callers)
	l.CallersPerUser = positive(l.CallersPerUser, d.CallersPerUser)
	l.Turn = positive(l.Turn, d.Turn)
	l.Request = positive(l.Request, d.Request)
	l.Write = positive(l.Write, d.Write)
	return l
}

func positive[N int | float64 | time.Duration](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}

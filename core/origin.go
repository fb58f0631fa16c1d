package core

// Requester is what sort of thing is behind a request, by what the kernel knows of
// the process that asks.
type Requester string

// The requesters. Unknown, the zero value, is none of them: a filter that is about
// them restricts then and grants nothing.
const (
	ByUnknown Requester = ""
	// ByTerminal: a process whose controlling terminal is the one of its session.
	ByTerminal Requester = "terminal"
	// ByDesktop: a process of a graphical session, without a terminal.
	ByDesktop Requester = "desktop"
	// ByService: a process without either, such as a timer's or a daemon's.
	ByService Requester = "service"
	// ByAgent: a process that descends from a coding agent, wherever it is.
	ByAgent Requester = "agent"
)

// Requesters returns those that policies can name.
func Requesters() []Requester { return []Requester{ByTerminal, ByDesktop, ByService, ByAgent} }

// Ancestor is a process that another one descends from, or that one itself.
type Ancestor struct {
	ID ProcessID
	// Program is the path of what it runs, empty if that cannot be seen.
	Program string
	// Names are what it says it is called: the beginning of its arguments, which
	// for a script are the interpreter's. They are the process's own word.
	Names []string
	// Leader leads the kernel's session that it is in; zero if that has ended.
	Leader ProcessID
	// Terminal is its controlling terminal, as the system numbers it; empty for
	// none.
	Terminal string
}

// Origin is who is behind a request.
type Origin struct {
	By Requester `json:"by,omitempty"`
	// Agent is the program by which By is ByAgent.
	Agent string `json:"agent,omitempty"`
	// Terminal is the controlling terminal, and Leader the process that leads the
	// session of that terminal, or the session of a process that has none.
	Terminal string    `json:"terminal,omitempty"`
	Leader   ProcessID `json:"leader,omitzero"`
	// Session is the login session.
	Session SessionID `json:"session,omitempty"`
}

// Key names the place that something is remembered for, such as a grant or a second
// factor, for one user; empty means that nothing may be remembered. What is
// remembered in a terminal is that of its session's leader, so that no process
// without that terminal has the same key, also when the terminal's number is used
// again, and no agent in it does either. It means something until the machine is
// started anew.
//
// Attack: a coding agent, or a program that a person has started once, runs sudo in
// the hope that a password was given lately (claude-code issue 62066).
func (o Origin) Key() string {
	switch {
	case o.By == ByTerminal && o.Terminal != "" && o.Leader != (ProcessID{}):
		return "terminal/" + o.Terminal + "/" + o.Leader.String()
	case o.By == ByDesktop && o.Session != "":
		return "desktop/" + string(o.Session)
	case o.By == ByService && o.Leader != (ProcessID{}):
		return "service/" + o.Leader.String()
	case o.By == ByAgent && o.Leader != (ProcessID{}):
		return "agent/" + o.Leader.String()
	}
	return ""
}

// KeyOfPerson is the Key that the person in whose terminal or session an agent runs
// has. It is for what a policy lets agents use as well.
func (o Origin) KeyOfPerson() string {
	if o.By == ByAgent {
		o.By = ByDesktop
		if o.Terminal != "" {
			o.By = ByTerminal
		}
	}
	return o.Key()
}

// String says it in words, for prompts and logs.
func (o Origin) String() string {
	where := ""
	if o.Terminal != "" {
		where = "terminal " + o.Terminal
	}
	switch o.By {
	case ByTerminal:
		return where
	case ByDesktop:
		return "the desktop"
	case ByService:
		return "a service, without a terminal"
	case ByAgent:
		if where != "" {
			where = " in " + where
		}
		return "the coding agent " + o.Agent + where
	}
	return "an unknown place"
}

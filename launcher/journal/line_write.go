package journal

import (
	"encoding/json"
	"strconv"
	"time"

	"kpm/core"
)

// line is a record as package json writes it (TestLinesAreWrittenAsJSON), in a quarter of
// the time: half a dozen records are written for each elevation, most of them while
// somebody waits. What is not plain text or a number is package json's still.
func (r *Record) line() ([]byte, error) {
	w := writing{out: make([]byte, 0, 768)}
	w.open()
	w.natural("seq", r.Seq)
	w.time("time", r.Time)
	if !r.Written.IsZero() {
		w.time("written", r.Written)
	}
	w.text("type", string(r.Type))
	w.some("request", string(r.Request))
	r.asked(&w)
	r.moved(&w)
	r.ran(&w)
	r.own(&w)
	w.text("prev", r.Prev)
	w.close()
	return w.out, w.err
}

// asked writes who, what and where.
func (r *Record) asked(w *writing) {
	w.some("userId", string(r.UserID))
	w.some("user", r.User)
	w.some("targetId", string(r.TargetID))
	w.some("target", r.Target)
	if r.Program != nil {
		w.key("program")
		w.program(r.Program)
	}
	list(w, "argv", r.Argv)
	w.other("argvBytes", r.ArgvBytes, len(r.ArgvBytes) > 0)
	w.other("argvWhole", r.ArgvWhole, r.ArgvWhole != nil)
	w.some("directory", r.Directory)
	w.some("seal", r.Seal)
	if r.Origin != nil {
		w.key("origin")
		w.origin(r.Origin)
	}
	w.some("insteadOf", string(r.InsteadOf))
	if c := r.Caller; c != nil {
		w.key("caller")
		w.open()
		w.text("key", c.Key)
		w.number("pid", int64(c.PID))
		w.natural("start", c.Start)
		w.text("user", string(c.User))
		w.some("payer", string(c.Payer))
		w.close()
	}
}

// moved writes transitions.
func (r *Record) moved(w *writing) {
	w.some("by", r.By)
	w.some("cause", r.Cause)
	w.some("message", r.Message)
	list(w, "controls", r.Controls)
	if len(r.Policies) > 0 {
		w.key("policies")
		w.policies(r.Policies)
	}
	w.other("paths", r.Paths, len(r.Paths) > 0)
	w.other("children", r.Children, r.Children != nil)
	w.some("outcome", string(r.Outcome))
	list(w, "filterJobs", r.FilterJobs)
	list(w, "grants", r.Grants)
	w.other("grant", r.Grant, r.Grant != nil)
	w.some("file", r.File)
	list(w, "users", r.Users)
	w.some("group", r.Group)
}

// ran writes what has become of the command.
func (r *Record) ran(w *writing) {
	if c := r.Child; c != nil {
		w.key("child")
		w.open()
		w.number("pid", int64(c.PID))
		w.natural("start", c.Start)
		w.some("group", c.Group)
		w.close()
	}
	if e := r.Exit; e != nil {
		w.key("exit")
		w.open()
		w.number("code", int64(e.Code))
		w.nonzero("signal", int64(e.Signal))
		w.close()
	}
	w.yes("notRun", r.NotRun)
	w.nonzero("millis", r.Millis)
	w.nonzero("killed", int64(r.Killed))
}

// own writes what the journal says of itself.
func (r *Record) own(w *writing) {
	w.other("open", r.Open, len(r.Open) > 0)
	w.nonzero("cut", r.Cut)
	w.some("fault", r.Fault)
	if r.First != 0 {
		w.natural("first", r.First)
	}
	w.nonzero("count", int64(r.Count))
	if !r.Since.IsZero() {
		w.time("since", r.Since)
	}
	w.nonzero("shift", r.Shift)
	w.other("signed", r.Signed, r.Signed != nil)
}

// writing is a line on its way.
type writing struct {
	out []byte
	err error
}

func (w *writing) open()  { w.out = append(w.out, '{') }
func (w *writing) close() { w.out = append(w.out, '}') }

func (w *writing) key(name string) {
	if w.out[len(w.out)-1] != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, '"', ':')
}

func (w *writing) text(name, value string) {
	w.key(name)
	w.string(value)
}

// some is text that is left out if there is none.
func (w *writing) some(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writing) natural(name string, n uint64) {
	w.key(name)
	w.out = strconv.AppendUint(w.out, n, 10)
}

func (w *writing) number(name string, n int64) {
	w.key(name)
	w.out = strconv.AppendInt(w.out, n, 10)
}

func (w *writing) nonzero(name string, n int64) {
	if n != 0 {
		w.number(name, n)
	}
}

func (w *writing) yes(name string, set bool) {
	if set {
		w.bool(name, set)
	}
}

func (w *writing) bool(name string, set bool) {
	w.key(name)
	w.out = strconv.AppendBool(w.out, set)
}

func (w *writing) time(name string, t time.Time) {
	w.key(name)
	if year := t.Year(); t.Location() != time.UTC || year < 0 || year > 9999 {
		w.json(t)
		return
	}
	w.out = append(w.out, '"')
	w.out = append(t.AppendFormat(w.out, time.RFC3339Nano), '"')
}

// string writes text in quotes. What package json escapes is left to it.
func (w *writing) string(text string) {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			w.json(text)
			return
		}
	}
	w.out = append(w.out, '"')
	w.out = append(w.out, text...)
	w.out = append(w.out, '"')
}

// other is a value of another kind, left out unless it is set.
func (w *writing) other(name string, value any, set bool) {
	if set {
		w.key(name)
		w.json(value)
	}
}

func (w *writing) json(value any) {
	data, err := json.Marshal(value)
	if err != nil {
		w.err = err
	}
	w.out = append(w.out, data...)
}

func (w *writing) program(x *core.Executable) {
	w.open()
	w.text("requested", x.Requested)
	w.text("path", x.Path)
	w.text("sha256", x.SHA256)
	w.bool("protected", x.Protected)
	w.some("interpreter", x.Interpreter)
	w.other("signers", x.Signers, len(x.Signers) > 0)
	w.yes("signersKnown", x.SignersKnown)
	w.close()
}

func (w *writing) origin(o *core.Origin) {
	w.open()
	w.some("by", string(o.By))
	w.some("agent", o.Agent)
	w.some("terminal", o.Terminal)
	if o.Leader != (core.ProcessID{}) {
		w.key("leader")
		w.open()
		w.number("PID", int64(o.Leader.PID))
		w.natural("Start", o.Leader.Start)
		w.close()
	}
	w.some("session", string(o.Session))
	w.close()
}

func (w *writing) policies(all []core.PolicyRef) {
	w.out = append(w.out, '[')
	for i, one := range all {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.open()
		w.text("PolicyId", one.ID)
		w.text("PolicyName", one.Name)
		w.close()
	}
	w.out = append(w.out, ']')
}

func list[T ~string](w *writing, name string, all []T) {
	if len(all) == 0 {
		return
	}
	w.key(name)
	w.out = append(w.out, '[')
	for i, one := range all {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.string(string(one))
	}
	w.out = append(w.out, ']')
}

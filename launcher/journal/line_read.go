package journal

import "kpm/core"

// plain takes apart a line as this package writes it: keys in the order of Record's
// fields, each once, without white space. It refuses anything else, and then package
// json, which is four times as slow, says what the line is; where plain says what it is,
// json would say the same (FuzzLines). A journal of a million lines is read at the pace
// of this.
type plain struct {
	line  []byte
	whole string // the same: what is kept of a short one need not be copied
	at    int
}

// plain reports whether line is one, and then r is what it says. whole is the same.
func (r *Record) plain(line []byte, whole string) bool {
	p := plain{line: line, whole: whole}
	return p.ordered(func(key string) (place int, ok bool) { return r.field(&p, key) }) && p.at == len(line)
}

// field reads the value of key. It returns the place of the key among Record's fields, 0
// for none.
func (r *Record) field(p *plain, key string) (place int, ok bool) {
	switch key {
	case "seq":
		return 1, p.natural(&r.Seq)
	case "time":
		return 2, p.time(&r.Time)
	case "written":
		return 3, p.time(&r.Written)
	case "type":
		return 4, p.string((*string)(&r.Type))
	case "request":
		return 5, p.string((*string)(&r.Request))
	case "userId":
		return 6, p.string((*string)(&r.UserID))
	case "user":
		return 7, p.string(&r.User)
	case "targetId":
		return 8, p.string((*string)(&r.TargetID))
	case "target":
		return 9, p.string(&r.Target)
	case "program":
		r.Program = new(core.Executable)
		return 10, p.program(r.Program)
	case "argv":
		return 11, texts(p, &r.Argv)
	case "argvBytes":
		return 12, p.nested(&r.ArgvBytes)
	case "argvWhole":
		return 13, p.nested(&r.ArgvWhole)
	case "directory":
		return 14, p.string(&r.Directory)
	case "seal":
		return 15, p.string(&r.Seal)
	case "origin":
		r.Origin = new(core.Origin)
		return 16, p.origin(r.Origin)
	case "insteadOf":
		return 17, p.string((*string)(&r.InsteadOf))
	case "caller":
		r.Caller = new(Caller)
		return 18, p.caller(r.Caller)
	case "by":
		return 19, p.string(&r.By)
	case "cause":
		return 20, p.string(&r.Cause)
	case "message":
		return 21, p.string(&r.Message)
	case "controls":
		return 22, texts(p, &r.Controls)
	case "policies":
		return 23, p.policies(&r.Policies)
	case "paths":
		return 24, p.nested(&r.Paths)
	}
	return r.laterField(p, key)
}

func (r *Record) laterField(p *plain, key string) (place int, ok bool) {
	switch key {
	case "children":
		return 25, p.nested(&r.Children)
	case "outcome":
		return 26, p.string((*string)(&r.Outcome))
	case "filterJobs":
		return 27, texts(p, &r.FilterJobs)
	case "grants":
		return 28, texts(p, &r.Grants)
	case "grant":
		return 29, p.nested(&r.Grant)
	case "file":
		return 30, p.string(&r.File)
	case "users":
		return 31, texts(p, &r.Users)
	case "group":
		return 32, p.string(&r.Group)
	case "child":
		r.Child = new(Child)
		return 33, p.child(r.Child)
	case "exit":
		r.Exit = new(core.ExitStatus)
		return 34, p.exit(r.Exit)
	case "notRun":
		return 35, p.yes(&r.NotRun)
	case "millis":
		return 36, p.nested(&r.Millis)
	case "killed":
		return 37, p.nested(&r.Killed)
	case "open":
		return 38, p.nested(&r.Open)
	case "cut":
		return 39, p.nested(&r.Cut)
	case "fault":
		return 40, p.string(&r.Fault)
	case "first":
		return 41, p.natural(&r.First)
	case "count":
		return 42, p.nested(&r.Count)
	case "since":
		return 43, p.time(&r.Since)
	case "shift":
		return 44, p.nested(&r.Shift)
	case "signed":
		return 45, p.nested(&r.Signed)
	case "prev":
		return 46, p.string(&r.Prev)
	}
	return 0, false
}

func (p *plain) program(x *core.Executable) bool {
	return p.ordered(func(key string) (place int, ok bool) {
		switch key {
		case "requested":
			return 1, p.string(&x.Requested)
		case "path":
			return 2, p.string(&x.Path)
		case "sha256":
			return 3, p.string(&x.SHA256)
		case "protected":
			return 4, p.bool(&x.Protected)
		case "interpreter":
			return 5, p.string(&x.Interpreter)
		case "signers":
			return 6, p.nested(&x.Signers)
		case "signersKnown":
			return 7, p.yes(&x.SignersKnown)
		}
		return 0, false
	})
}

func (p *plain) origin(o *core.Origin) bool {
	return p.ordered(func(key string) (place int, ok bool) {
		switch key {
		case "by":
			return 1, p.string((*string)(&o.By))
		case "agent":
			return 2, p.string(&o.Agent)
		case "terminal":
			return 3, p.string(&o.Terminal)
		case "leader":
			return 4, p.nested(&o.Leader)
		case "session":
			return 5, p.string((*string)(&o.Session))
		}
		return 0, false
	})
}

func (p *plain) caller(c *Caller) bool {
	return p.ordered(func(key string) (place int, ok bool) {
		switch key {
		case "key":
			return 1, p.string(&c.Key)
		case "pid":
			return 2, p.int(&c.PID)
		case "start":
			return 3, p.natural(&c.Start)
		case "user":
			return 4, p.string((*string)(&c.User))
		case "payer":
			return 5, p.string((*string)(&c.Payer))
		}
		return 0, false
	})
}

func (p *plain) child(c *Child) bool {
	return p.ordered(func(key string) (place int, ok bool) {
		switch key {
		case "pid":
			return 1, p.int(&c.PID)
		case "start":
			return 2, p.natural(&c.Start)
		case "group":
			return 3, p.string(&c.Group)
		}
		return 0, false
	})
}

func (p *plain) exit(e *core.ExitStatus) bool {
	return p.ordered(func(key string) (place int, ok bool) {
		switch key {
		case "code":
			return 1, p.int(&e.Code)
		case "signal":
			return 2, p.int(&e.Signal)
		}
		return 0, false
	})
}

func (p *plain) policies(into *[]core.PolicyRef) bool {
	return elements(p, into, func() (one core.PolicyRef, ok bool) {
		ok = p.ordered(func(key string) (place int, ok bool) {
			switch key {
			case "PolicyId":
				return 1, p.string(&one.ID)
			case "PolicyName":
				return 2, p.string(&one.Name)
			}
			return 0, false
		})
		return one, ok
	})
}

func texts[T ~string](p *plain, into *[]T) bool {
	return elements(p, into, func() (T, bool) {
		text, ok := p.text()
		return T(text), ok
	})
}

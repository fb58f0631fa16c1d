package policy

// kept is a kind of policies that are read, shown and checked as they were
// written, and by which nothing is granted in this release. Their DENY holds for
// questions of their own type.
type kept struct{}

// extension is any: what such a policy carries is for others to read.
func (kept) extension() []string { return nil }

func (kept) read(*reader, *Policy, fields) {}

// everyProgram is true: most of them are not about programs.
func (kept) everyProgram(*Policy) bool { return true }

func (kept) compile(*compiler, *Policy) filter { return nil }

// own takes what there is: a question of that type has nothing beyond a program
// and its arguments.
func (kept) own(any) (any, bool) { return nil, true }

// keeps reports whether by policies of this kind nothing is granted.
func keeps(kind answerer) bool {
	_, is := kind.(interface{ grantsNothing() })
	return is
}

func (kept) grantsNothing() {}

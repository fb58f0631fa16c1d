package policy

import (
	"slices"

	"kpm/core"
	"kpm/core/controls"
)

// Kind is a row of the table of kinds: one kind of question, and the types of
// policy that answer it together.
type Kind struct {
	// types are values of PolicyType, in their canonical spelling.
	types  []string
	answer answerer
}

// answerer is what a kind adds to what all kinds share: status, controls, rules,
// and the filters of users, machines, programs, signers, dates, times and days.
type answerer interface {
	// extension lists the keys of Extension that read understands.
	extension() []string
	// read sets p.Own from Extension. What it cannot read with certainty is a
	// doubt.
	read(r *reader, p *Policy, extension fields)
	// everyProgram reports whether an empty ApplicationCheck of p means every
	// program. Otherwise it restricts and grants nothing.
	everyProgram(p *Policy) bool
	// compile gives p.Own its meaning; nil if it narrows nothing.
	compile(c *compiler, p *Policy) filter
	// own prepares Question.Own for comparing. It reports false if that is not a
	// question of this kind.
	own(question any) (any, bool)
}

// filter is what a policy's own fields make of a question.
type filter interface {
	// match gets a copy, so that a question needs no memory but its caller's
	// stack.
	match(a asked) strength
}

// unknownKind reads a policy of a type that nobody knows, which narrows nothing
// and is asked about everything.
type unknownKind struct{}

func (unknownKind) extension() []string               { return nil }
func (unknownKind) read(*reader, *Policy, fields)     {}
func (unknownKind) everyProgram(*Policy) bool         { return true }
func (unknownKind) compile(*compiler, *Policy) filter { return nil }
func (unknownKind) own(any) (any, bool)               { return nil, false }

// Kinds is the table: one row for each kind of question. A new kind is a file
// like elevation.go and a row here.
func Kinds() []Kind {
	return []Kind{
		{types: []string{TypePrivilegeElevation, TypeCommandLine}, answer: elevation{}},
		{types: []string{TypeLeastPrivilege}, answer: leastPrivilege{}},
		{types: []string{TypeFileAccess}, answer: fileAccess{}},
		{types: []string{TypeHTTPAccess}, answer: kept{}},
		{types: []string{TypeSettingsUpdate, TypeJobUpdate}, answer: configuration{}},
		{types: []string{"UpdateSettings"}, answer: kept{}},
		{types: []string{"Custom"}, answer: kept{}},
	}
}

// TypeHTTPAccess is the type of policies about addresses, by which nothing is
// granted.
const TypeHTTPAccess = "HttpAccess"

// Types returns the policy types that are known, as policies write them.
func Types() []string {
	var list []string
	for _, kind := range Kinds() {
		list = append(list, kind.types...)
	}
	return list
}

// actingTypes are those of kept policies that others act on.
var actingTypes = [...]string{TypeLeastPrivilege, TypeSettingsUpdate, TypeJobUpdate}

// answeredTypes are the policy types by which something can be granted.
func answeredTypes(kinds []Kind) []string {
	var list []string
	for _, kind := range kinds {
		if !keeps(kind.answer) {
			list = append(list, kind.types...)
		}
	}
	return list
}

// Engine reads and compiles policies of the kinds and with the controls in its
// tables. It holds nothing else and may be used by many goroutines at once.
type Engine struct {
	kinds    []Kind
	controls controls.Table
	lists    [][]core.Control // of controls
}

// New returns an engine for kinds, of which no two may share a policy type, and
// for the controls that policies may name.
func New(kinds []Kind, table controls.Table) *Engine {
	return &Engine{kinds: slices.Clone(kinds), controls: table, lists: table.Lists()}
}

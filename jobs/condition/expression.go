package condition

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"kpm/core/fault"
)

const (
	maxExpression = 4 << 10 // bytes
	maxNodes      = 500
)

// expression is a condition in the language of expr-lang.org, without anything that
// goes through a list or makes one: comparisons, and, or, not, in, contains,
// startsWith, endsWith, matches, arithmetic, lower, upper, trim, len, int, float,
// string, and has("Name").
type expression struct {
	text    string
	program *vm.Program
	names   []string        // that it uses, as it spells them
	guarded map[string]bool // names, lower case, that has asks about
}

// functions are the built-ins that an expression may call. What takes a predicate, or
// makes a value of any size (repeat, map, split), is left out.
func functions() []string {
	return []string{"len", "lower", "upper", "trim", "int", "float", "string"}
}

func (c *compiler) expression(path, text string) node {
	if len(text) > maxExpression {
		c.expect(false, path, fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("at most %d", maxExpression))
		return never{}
	}
	tree, err := parser.Parse(text)
	if err != nil {
		c.expect(false, path, fmt.Sprintf("%s (%s)", fault.Quote(text), firstLine(err)), `an expression, like EventType == "PrivilegeElevation"`)
		return never{}
	}
	uses := usage{names: map[string]bool{}, guarded: map[string]bool{}}
	ast.Walk(&tree.Node, &uses)
	if uses.refused != "" {
		c.expect(false, path, uses.refused+" in "+fault.Quote(text), "comparisons of values: no loops, lists with .. or functions of one's own")
		return never{}
	}
	e := &expression{text: text, names: slices.Sorted(maps.Keys(uses.names)), guarded: uses.guarded}
	env := map[string]any{}
	for _, name := range e.names {
		if declared := example(c.types[strings.ToLower(name)]); declared != nil {
			env[name] = declared
		}
	}
	env["has"] = func(string) bool { return false } // each run has its own
	options := []expr.Option{expr.Env(env), expr.AllowUndefinedVariables(), expr.AsBool(), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins()}
	for _, name := range functions() {
		options = append(options, expr.EnableBuiltin(name))
	}
	if e.program, err = expr.Compile(text, options...); err != nil {
		c.expect(false, path, fmt.Sprintf("%s (%s)", fault.Quote(text), firstLine(err)), "an expression that is true or false")
		return never{}
	}
	return e
}

// example is a value of a declared type, for the compiler; nil stands for any.
func example(kind string) any {
	switch kind {
	case "string", "secret":
		return ""
	case "int", "integer", "number":
		return 0.0
	case "bool", "boolean":
		return false
	}
	return nil
}

// usage visits what an expression uses.
type usage struct {
	names, guarded map[string]bool
	refused        string
}

// Visit implements ast.Visitor.
func (u *usage) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value != "has" {
			u.names[n.Value] = true
		}
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok || callee.Value != "has" || len(n.Arguments) != 1 {
			u.refused = "a call"
			return
		}
		name, ok := n.Arguments[0].(*ast.StringNode)
		if !ok {
			u.refused = "has without a name in quotes"
			return
		}
		u.guarded[strings.ToLower(name.Value)] = true
	case *ast.BuiltinNode:
		if !slices.Contains(functions(), n.Name) {
			u.refused = n.Name
		}
	case *ast.PredicateNode:
		u.refused = "a predicate"
	case *ast.BinaryNode:
		// Both make values larger than what they are given.
		if n.Operator == ".." || n.Operator == "**" || n.Operator == "^" {
			u.refused = n.Operator
		}
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		u.refused = "a variable of its own"
	}
}

func (e *expression) met(values Lookup) (bool, string, error) {
	env := map[string]any{"has": func(name string) bool { _, ok := values(name); return ok }}
	var found []string
	for _, name := range e.names {
		value, ok := values(name)
		if !ok && !e.guarded[strings.ToLower(name)] {
			return false, "", missing(name)
		}
		env[name] = plain(value)
		found = append(found, name+" is "+show(env[name]))
	}
	result, err := expr.Run(e.program, env)
	if err != nil {
		return false, "", fmt.Errorf("%s: %s", e.text, firstLine(err))
	}
	ok, _ := result.(bool)
	why := fault.Quote(e.text) + " is false"
	if len(found) > 0 {
		why += ": " + strings.Join(found, ", ")
	}
	return ok, why, nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

package task

import "strings"

// contextPrefix begins the variables in which a program finds the context of its
// run.
const contextPrefix = "KEEPER_CTX_"

// ContextVariable is the environment variable that holds the value of a name of
// the context: KEEPER_CTX_FILEPATH for FilePath.
func ContextVariable(name string) string {
	return contextPrefix + strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, name)
}

package sudo

import "testing"

func TestAgentRoot(t *testing.T) {
	env := func(value string) func(string) string { return func(string) string { return value } }
	for _, tc := range []struct {
		flag string
		root bool
		env  string
		want string
	}{
		{"/flag", false, "/env", "/flag"},
		{"/flag", true, "/env", "/flag"},
		{"", false, "/env", "/env"},
		{"", true, "/env", "/default"},
		{"", false, "", "/default"},
	} {
		if got := agentRoot(tc.flag, "/default", tc.root, env(tc.env)); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

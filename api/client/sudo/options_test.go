package sudo

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want options
	}{
		{[]string{"id"}, options{command: []string{"id"}}},
		{[]string{"id", "-n", "--help"}, options{command: []string{"id", "-n", "--help"}}},
		{[]string{"--", "-n"}, options{command: []string{"-n"}}},
		{[]string{"-n", "--", "--", "x"}, options{nonInteractive: true, command: []string{"--", "x"}}},
		{[]string{"-u", "nobody", "id"}, options{user: "nobody", command: []string{"id"}}},
		{[]string{"-unobody", "id"}, options{user: "nobody", command: []string{"id"}}},
		{[]string{"-u=x", "id"}, options{user: "=x", command: []string{"id"}}},
		{[]string{"--user=#0", "id"}, options{user: "#0", command: []string{"id"}}},
		{[]string{"--root", "/r", "--non-interactive", "-"}, options{root: "/r", nonInteractive: true, command: []string{"-"}}},
		{[]string{"a=b", "c"}, options{command: []string{"a=b", "c"}}},
	} {
		got, err := parse(tc.args)
		if err != nil || !reflect.DeepEqual(*got, tc.want) {
			t.Errorf("%q: %+v, %v; want %+v", tc.args, got, err, tc.want)
		}
	}
	for _, args := range [][]string{
		nil, {"-n"}, {"-u"}, {"--root"}, {"--user="}, {"-x", "id"}, {"--no-such", "id"}, {"-n=1", "id"}, {""}, {"-nu", "x", "id"}, {"--"},
	} {
		if got, err := parse(args); err == nil || err.status != exitUsage || !strings.Contains(err.message, "--help") {
			t.Errorf("%q: %+v, %v", args, got, err)
		}
	}
}

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/controls"
)

// engine is the one that the agent has.
var engine = New(Kinds(), controls.Standard())

// berlin is where the machine of the tests is.
func berlin() *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return zone
}

// missing are names of groups that the machine of the tests does not have.
var missing = []string{"nosuch", "nosuchgroup"}

// linux is a merged-usr machine called "web1".
func linux() Environment {
	return Environment{
		Platform:   core.Linux,
		Variables:  Variables(core.Linux, core.Linux.DefaultRoot()),
		Links:      map[string]string{"/bin": "/usr/bin", "/sbin": "/usr/sbin"},
		SecurePath: core.Linux.SecurePath(),
		MissingGroup: func(name string) bool {
			return slices.Contains(missing, name)
		},
		Collections: map[string]Collection{
			"uid-of-admins":   {OfUsers, []string{"alice", "#1007"}},
			"uid-of-wheel":    {OfGroups, []string{"wheel", "#4000"}},
			"uid-of-web":      {OfMachines, []string{"web1", "WEB2"}},
			"uid-of-editors":  {OfApplications, []string{"/usr/bin/vim.basic", "nano"}},
			"uid-of-mistakes": {OfUsers, []string{"%nosuchgroup"}},
		},
	}
}

// noon on a Wednesday, in Berlin.
var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, berlin())

// ask is alice on web1 asking at noon.
func ask(path, requested string, argv ...string) Question {
	return Question{
		Kind: TypePrivilegeElevation, User: core.UserID("1000"), UserName: "alice",
		Groups: []string{"1000", "10"}, GroupNames: []string{"alice", "wheel"}, MissingGroups: missing,
		Target: "0", TargetName: "root", TargetAdministrator: true,
		Machine: "web1", Path: path, Requested: requested, Arguments: argv, Time: noon,
	}
}

// sketch is a policy in one line of a test: controls, then what differs from
// "everyone, everywhere, everything".
type sketch struct {
	id       string
	kind     string // CommandLine if set
	status   string
	controls string // separated by spaces
	users    []string
	machines []string
	apps     []string
	extra    string // more JSON members, with a leading comma
}

func (s sketch) json() string {
	list := func(values []string, or ...string) string {
		if values == nil {
			values = or
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = fmt.Sprintf("%q", v)
		}
		return "[" + strings.Join(quoted, ",") + "]"
	}
	kind := s.kind
	if kind == "" {
		kind = TypePrivilegeElevation
	}
	return fmt.Sprintf(`{"PolicyId": %q, "PolicyName": "Name of %s", "PolicyType": %q, "Status": %q, "Actions": {"OnSuccess": {"Controls": %s}},
		"UserCheck": %s, "MachineCheck": %s, "ApplicationCheck": %s%s}`,
		s.id, s.id, kind, s.status, list(strings.Fields(s.controls)), list(s.users, "*"), list(s.machines, "*"), list(s.apps, "*"), s.extra)
}

func compileSketches(t *testing.T, env Environment, sketches ...sketch) *Set {
	t.Helper()
	var all []Policy
	for i, s := range sketches {
		if s.id == "" {
			s.id = fmt.Sprintf("p%d", i)
		}
		policies, findings := engine.Parse("test.json", []byte(s.json()))
		if Faulty(findings) {
			t.Fatal(findings)
		}
		all = append(all, policies...)
	}
	set, _ := engine.Compile(all, env)
	return set
}

// meets says how much of a policy a question meets, by what comes of it: whether
// its ALLOW grants, whether its JUSTIFY is asked for, and whether its DENY denies.
func meets(t *testing.T, env Environment, s sketch, q Question) strength {
	t.Helper()
	outcome := func(controls string, others ...sketch) core.Outcome {
		s.id, s.controls = "p", controls
		return compileSketches(t, env, append(others, s)...).Decide(q).Outcome
	}
	everything := sketch{id: "all", controls: "ALLOW", extra: `, "TargetUserCheck": ["*"]`}
	grants, asks, denies := outcome("ALLOW") == core.Allow, outcome("JUSTIFY", everything) == core.Pending, outcome("DENY", everything) == core.Deny
	if grants && !asks || asks && !denies {
		t.Errorf("it grants: %v, asks for its controls: %v, denies: %v", grants, asks, denies)
	}
	switch {
	case grants:
		return full
	case asks:
		return restricts
	}
	return nothing
}

// said is what reading and compiling policies says.
func said(t *testing.T, env Environment, sketches ...sketch) []string {
	t.Helper()
	list := make([]string, len(sketches))
	for i, s := range sketches {
		list[i] = s.json()
	}
	policies, findings := engine.Parse("s.json", []byte("["+strings.Join(list, ",\n")+"]"))
	_, more := engine.Compile(policies, env)
	return lines(append(findings, more...))
}

func lines(findings []Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Severity.String()+": "+f.Error())
	}
	return list
}

// windows is a machine called "pc1" with one directory on its secure path.
func windows() Environment {
	env := linux()
	env.Platform, env.Links, env.SecurePath = core.Windows, nil, []string{`C:\Windows\System32`}
	env.Variables = Variables(core.Windows, `c:/program files/keeperprivilegemanager`)
	return env
}

package policy

import (
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// meetings are cases of one filter: does an ALLOW grant, does a DENY deny?
type meeting struct {
	name   string
	policy sketch
	ask    func(*Question)
	allows bool
	denies bool
}

func checkMeetings(t *testing.T, cases []meeting) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			q := ask("/usr/bin/vim.basic", "/usr/bin/vi", "vi", "/etc/hosts")
			if tc.ask != nil {
				tc.ask(&q)
			}
			tc.policy.controls = "ALLOW"
			if got := compileSketches(t, linux(), tc.policy).Decide(q); (got.Outcome == core.Allow) != tc.allows {
				t.Errorf("ALLOW: got %s, want a grant: %v", got.Outcome, tc.allows)
			}
			// The control case: a DENY that is not met leaves another's ALLOW.
			tc.policy.controls = "DENY"
			if got := compileSketches(t, linux(), tc.policy, sketch{id: "all", controls: "ALLOW"}).Decide(q); (got.Outcome == core.Deny) != tc.denies {
				t.Errorf("DENY: got %s, want a denial: %v", got.Outcome, tc.denies)
			}
			tc.policy.controls = "JUSTIFY"
			if got := compileSketches(t, linux(), tc.policy, sketch{id: "all", controls: "ALLOW"}).Decide(q); (got.Outcome == core.Pending) != tc.denies && !strings.Contains(tc.policy.extra, "AllowCommands") {
				t.Errorf("JUSTIFY: got %s, want it asked for: %v", got.Outcome, tc.denies)
			}
		})
	}
}

func TestUserFilter(t *testing.T) {
	as := func(name string) func(*Question) { return func(q *Question) { q.UserName = name } }
	checkMeetings(t, []meeting{
		{"everyone", sketch{users: []string{"*"}}, nil, true, true},
		{"by name", sketch{users: []string{"bob", "alice"}}, nil, true, true},
		{"another name", sketch{users: []string{"bob"}}, nil, false, false},
		{"case counts", sketch{users: []string{"Alice"}}, nil, false, false},
		{"by uid", sketch{users: []string{"#1000"}}, nil, true, true},
		{"another uid", sketch{users: []string{"#100"}}, nil, false, false},
		{"a number is a name", sketch{users: []string{"1000"}}, nil, false, false},
		{"with domain", sketch{users: []string{`CORP\alice`}}, as(`CORP\alice`), true, true},
		{"another domain", sketch{users: []string{`CORP\alice`}}, as(`LAB\alice`), false, false},
		{"a name without domain denies and does not grant", sketch{users: []string{"alice"}}, as(`LAB\alice`), false, true},
		{"the same with @", sketch{users: []string{"alice"}}, as(`alice@lab`), false, true},
		{"a domain does not match a local user", sketch{users: []string{`CORP\alice`}}, nil, false, false},
		{"another name of the same user", sketch{users: []string{"toor"}}, func(q *Question) { q.OtherNames = []string{"x", "toor"} }, false, true},
		{"both names of one user", sketch{users: []string{"toor", "alice"}}, func(q *Question) { q.OtherNames = []string{"toor"} }, true, true},
		{"by group", sketch{users: []string{"%wheel"}}, nil, true, true},
		{"another group", sketch{users: []string{"%backup"}}, nil, false, false},
		{"by gid", sketch{users: []string{"%#10"}}, nil, true, true},
		{"a group that is missing", sketch{users: []string{"%nosuch"}}, nil, false, true},
		{"collection of users", sketch{users: []string{"uid-of-admins"}}, nil, true, true},
		{"collection of groups", sketch{users: []string{"uid-of-wheel"}}, nil, true, true},
		{"collection of machines", sketch{users: []string{"uid-of-web"}}, nil, false, true},
		{"unresolvable value in a collection", sketch{users: []string{"uid-of-mistakes"}}, nil, false, true},
		{"unknown collection", sketch{users: []string{"q83vEjRWeJCrze8SNFZ4kA"}}, nil, false, true},
		{"unknown collection beside a match", sketch{users: []string{"alice", "q83vEjRWeJCrze8SNFZ4kA=="}}, nil, false, true},
		{"half a wildcard", sketch{users: []string{"al*"}}, nil, false, true},
		{"nobody written", sketch{users: []string{}}, nil, false, true},
	})
}

// A group grants if it is sure that the user is in it; every doubt restricts.
func TestGroupFilter(t *testing.T) {
	wheel, ten := sketch{users: []string{"%wheel"}}, sketch{users: []string{"%#10"}}
	in := func(change func(*Question)) func(*Question) {
		return func(q *Question) {
			q.Groups, q.GroupNames, q.MissingGroups = nil, nil, nil
			change(q)
		}
	}
	names := func(names ...string) func(*Question) { return in(func(q *Question) { q.GroupNames = names }) }
	checkMeetings(t, []meeting{
		{"by name, whatever its number", wheel, names("wheel"), true, true},
		{"by number, whatever its name", ten, in(func(q *Question) { q.Groups = []string{"10"} }), true, true},
		{"in none", wheel, names(), false, false},
		{"the number that a name had", wheel, in(func(q *Question) { q.Groups = []string{"10"} }), false, false},
		{"a name in doubt", wheel, in(func(q *Question) { q.DoubtfulGroupNames = []string{"wheel"} }), false, true},
		{"a number in doubt", ten, in(func(q *Question) { q.DoubtfulGroups = []string{"10"} }), false, true},
		{"a number in doubt and another sure", sketch{users: []string{"%#10", "%backup"}},
			in(func(q *Question) { q.DoubtfulGroups, q.GroupNames = []string{"10"}, []string{"backup"} }), true, true},
		{"nobody can tell", wheel, in(func(q *Question) { q.GroupsUnknown = true }), false, true},
		{"nobody can tell, and it is about no group", sketch{users: []string{"bob"}}, in(func(q *Question) { q.GroupsUnknown = true }), false, false},
		{"there is no such group", wheel, in(func(q *Question) { q.MissingGroups = []string{"wheel"} }), false, true},
		{"there is no such group, beside a user", sketch{users: []string{"%wheel", "alice"}}, in(func(q *Question) { q.MissingGroups = []string{"wheel"} }), false, true},
		{"there is another group missing", wheel, in(func(q *Question) { q.MissingGroups = []string{"ops"} }), false, false},
		{"a domain's group of that name", wheel, names(`CORP\wheel`), false, true},
		{"the same with @", wheel, names("wheel@corp"), false, true},
		{"the domain's group itself", sketch{users: []string{`%CORP\domain admins`}}, names(`CORP\domain admins`), true, true},
		{"a domain's group is not the local one", sketch{users: []string{"%wheel@corp"}}, names("wheel"), false, false},
		{"a group without a name", sketch{users: []string{"%"}}, nil, false, true},
		{"a pattern", sketch{users: []string{"%whe*"}}, nil, false, true},
		{"a number without one", sketch{users: []string{"%#"}}, nil, false, true},
	})
}

func TestMachineFilter(t *testing.T) {
	called := func(name string) func(*Question) { return func(q *Question) { q.Machine = name } }
	checkMeetings(t, []meeting{
		{"a short name of a machine with a domain", sketch{machines: []string{"web1"}}, called("web1.corp.example"), false, true},
		{"a name with a domain of a short one", sketch{machines: []string{"web1.corp.example"}}, nil, false, true},
		{"with its domain", sketch{machines: []string{"WEB1.corp.example."}}, called("web1.Corp.example"), true, true},
		{"another domain", sketch{machines: []string{"web1.corp.example"}}, called("web1.lab.example"), false, false},
		{"a part of a name", sketch{machines: []string{"web"}}, called("web1.corp.example"), false, false},
		{"a machine without a name", sketch{machines: []string{"web2"}}, called(""), false, true},
		{"a name of nothing", sketch{machines: []string{"."}}, nil, false, true},
		{"by name, case aside", sketch{machines: []string{"WEB1"}}, nil, true, true},
		{"another", sketch{machines: []string{"web10"}}, nil, false, false},
		{"collection", sketch{machines: []string{"uid-of-web"}}, nil, true, true},
		{"all agents", sketch{machines: []string{"AAAAAAAAAAAAAAAAAAAAAA"}}, nil, true, true},
		{"unknown collection", sketch{machines: []string{"q83vEjRWeJCrze8SNFZ4kA"}}, nil, false, true},
		{"pattern", sketch{machines: []string{"web*"}}, nil, false, true},
		{"none written", sketch{machines: []string{}}, nil, true, true},
	})
}

func TestApplicationFilter(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	checkMeetings(t, []meeting{
		{"the resolved path", sketch{apps: []string{"/usr/bin/vim.basic"}}, nil, true, true},
		{"the requested path denies and does not grant", sketch{apps: []string{"/usr/bin/vi"}}, nil, false, true},
		{"another path", sketch{apps: []string{"/usr/bin/vim"}}, nil, false, false},
		{"case counts", sketch{apps: []string{"/usr/bin/VIM.basic"}}, nil, false, false},
		{"through a linked directory", sketch{apps: []string{"/bin/vim.basic"}}, nil, true, true},
		{"requested through a linked directory", sketch{apps: []string{"/usr/bin/vi"}}, func(q *Question) { q.Requested = "/bin/vi" }, false, true},
		{"requested with dots", sketch{apps: []string{"/usr/bin/vi"}}, func(q *Question) { q.Requested = "/usr/lib/../bin/./vi" }, false, true},
		{"a bare name stands for its places", sketch{apps: []string{"/usr/bin/vi"}}, func(q *Question) { q.Requested = "vi" }, false, true},
		{"and for patterns of them", sketch{apps: []string{"/bin/v*"}}, func(q *Question) { q.Requested, q.Path = "vi", "/opt/x" }, false, true},
		{"file name on the secure path", sketch{apps: []string{"vim.basic"}}, nil, true, true},
		{"file name elsewhere denies and does not grant", sketch{apps: []string{"vim.basic"}},
			func(q *Question) { q.Path, q.Requested = "/home/alice/vim.basic", "/home/alice/vim.basic" }, false, true},
		{"requested file name", sketch{apps: []string{"vi"}}, nil, false, true},
		{"pattern of file names", sketch{apps: []string{"vim.*"}}, nil, true, true},
		{"pattern", sketch{apps: []string{"/usr/*/vim*"}}, nil, true, true},
		{"pattern through a linked directory", sketch{apps: []string{"/bin/*"}}, nil, true, true},
		{"a pattern is anchored at its end", sketch{apps: []string{"/usr/bin/*bas"}}, nil, false, false},
		{"a star spans directories", sketch{apps: []string{"/usr*basic"}}, nil, true, true},
		{"variable", sketch{apps: []string{"{usr}/bin/vim.basic"}}, nil, true, true},
		{"variable of a linked directory", sketch{apps: []string{"{bin}/vim.basic"}}, nil, true, true},
		{"root directory", sketch{apps: []string{"{rootdir}/usr/bin/vim.basic"}}, nil, true, true},
		{"a variable of the user", sketch{apps: []string{"{userdesktop}/x"}}, nil, false, true},
		{"unknown variable", sketch{apps: []string{"{PATH}/x"}}, nil, false, true},
		{"variable names are case-sensitive", sketch{apps: []string{"{USR}/bin/vim.basic"}}, nil, false, true},
		{"a variable without a name", sketch{apps: []string{"{}/usr/bin/vim.basic"}}, nil, false, true},
		{"unclosed brace", sketch{apps: []string{"/usr/{bin"}}, nil, false, true},
		{"relative path", sketch{apps: []string{"bin/vim.basic"}}, nil, false, true},
		{"a folder", sketch{apps: []string{"/usr/bin/"}}, nil, false, true},
		{"path with dots", sketch{apps: []string{"/usr/lib/../bin/vim.basic"}}, nil, false, true},
		{"hash", sketch{apps: []string{strings.ToUpper(hash)}}, func(q *Question) { q.Hash = hash }, true, true},
		{"another hash", sketch{apps: []string{hash}}, func(q *Question) { q.Hash = strings.Repeat("cd", 32) }, false, false},
		{"no hash in the question", sketch{apps: []string{hash}}, nil, false, false},
		{"collection", sketch{apps: []string{"uid-of-editors"}}, nil, true, true},
		{"collection of users", sketch{apps: []string{"uid-of-admins"}}, nil, false, true},
		{"unknown collection", sketch{apps: []string{"q83vEjRWeJCrze8SNFZ4kA"}}, nil, false, true},
		{"nothing written", sketch{apps: []string{}}, nil, false, true},
		{"nothing written, command line", sketch{apps: []string{}, kind: TypeCommandLine}, nil, true, true},
	})
}

// Attack: variables that the user's environment decides (CVE-2020-12612). There
// is no way to give one: the table is all there is.
func TestVariablesAreATable(t *testing.T) {
	t.Setenv("usr", "/home/alice")
	t.Setenv("HOME", "/home/alice")
	got := compileSketches(t, linux(), sketch{controls: "ALLOW", apps: []string{"{usr}/x", "{home}/alice/x"}}).Decide(ask("/home/alice/usr/x", "", "x"))
	if got.Outcome != core.Deny {
		t.Errorf("got %+v", got)
	}
	for platform, want := range map[core.Platform]string{core.Linux: "/home", core.MacOS: "/Users", core.Windows: ""} {
		if got := Variables(platform, "/r")["home"]; got != want {
			t.Errorf("%s: {home} is %q, want %q", platform, got, want)
		}
	}
}

func TestWindowsPathsAndNames(t *testing.T) {
	env := linux()
	env.Platform, env.Links, env.SecurePath = core.Windows, nil, []string{`C:\Windows\System32`}
	env.Variables = Variables(core.Windows, `c:/program files/keeperprivilegemanager`)
	set := compileSketches(t, env, sketch{controls: "ALLOW", users: []string{`Corp\Alice`}, apps: []string{`{SystemRoot}\System32\*.EXE`}})
	q := ask(`C:\Windows\system32\Notepad.exe`, "notepad.exe")
	q.UserName = `CORP\alice`
	if got := set.Decide(q); got.Outcome != core.Allow {
		t.Errorf("got %+v", got)
	}
	q.Path = `C:\Windows\System32\..\Temp\x.exe`
	if got := set.Decide(q); got.Outcome != core.Deny {
		t.Errorf("a path with dots: got %+v", got)
	}
}

func TestAllowCommands(t *testing.T) {
	commands := func(list string) sketch {
		return sketch{kind: TypeCommandLine, apps: []string{}, extra: `, "Extension": {"AllowCommands": [` + list + `]}`}
	}
	asking := func(argv ...string) func(*Question) {
		return func(q *Question) { q.Path, q.Requested, q.Arguments = "/usr/bin/systemctl", "systemctl", argv }
	}
	checkMeetings(t, []meeting{
		{"a program alone, without arguments", commands(`"systemctl"`), asking("systemctl"), true, true},
		{"a program alone, with any", commands(`"systemctl"`), asking("systemctl", "stop", "sshd"), true, true},
		{"word for word", commands(`"/usr/bin/systemctl restart nginx"`), asking("systemctl", "restart", "nginx"), true, true},
		{"one word more", commands(`"systemctl restart nginx"`), asking("systemctl", "restart", "nginx", "sshd"), false, true},
		{"one word less", commands(`"systemctl restart nginx"`), asking("systemctl", "restart"), false, true},
		{"words do not join", commands(`"systemctl restart nginx"`), asking("systemctl", "restart nginx"), false, true},
		{"called by a path to its name", commands(`"systemctl restart nginx"`), asking("/usr/bin/systemctl", "restart", "nginx"), true, true},
		{"argv[0] makes it another program", commands(`"systemctl restart nginx"`), asking("reboot", "restart", "nginx"), false, true},
		{"argv[0] makes it another, any arguments", commands(`"systemctl status *"`), asking("./halt", "status"), false, true},
		{"argv[0] makes it a login shell", commands(`"systemctl status *"`), asking("-systemctl", "status"), false, true},
		{"no argv[0]", commands(`"systemctl status *"`), asking("", "status"), false, true},
		{"argv[0] where any arguments are allowed", commands(`"systemctl"`), asking("reboot"), true, true},
		{"star as the last word", commands(`"systemctl status *"`), asking("systemctl", "status", "a", "b"), true, true},
		{"star as the last word, nothing", commands(`"systemctl status *"`), asking("systemctl", "status"), true, true},
		{"star in a word stays in it", commands(`"systemctl restart nginx*"`), asking("systemctl", "restart", "nginx@1", "sshd"), false, true},
		{"star in the middle is one word", commands(`"systemctl * nginx"`), asking("systemctl", "a", "b", "nginx"), false, true},
		{"a program of that name elsewhere", commands(`"systemctl"`), func(q *Question) { q.Path, q.Requested = "/home/alice/systemctl", "" }, false, true},
		{"another program", commands(`"systemctl"`), nil, false, true},
		{"second entry", commands(`"id", "systemctl"`), asking("systemctl"), true, true},
		{"shell syntax", commands(`"systemctl; id"`), asking("systemctl"), false, true},
		{"empty list", commands(``), asking("systemctl"), false, true},
	})
	// Off its allow list a control has nothing to say.
	p := commands(`"systemctl"`)
	p.controls = "JUSTIFY"
	if got := compileSketches(t, linux(), p, sketch{id: "all", controls: "ALLOW"}).Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Allow {
		t.Errorf("got %+v", got)
	}
}

// A DENY of what a program turns into is a DENY of calling it so, however the
// caller got at it.
func TestWhatAProgramIsCalledRestricts(t *testing.T) {
	for _, tc := range []struct {
		deny            string
		requested, argv string
		outcome         core.Outcome
	}{
		{"/usr/sbin/reboot", "systemctl", "reboot", core.Deny},
		{"/sbin/reboot", "/home/alice/reboot", "./reboot", core.Deny},
		{"reboot", "/usr/bin/systemctl", "/home/alice/reboot", core.Deny},
		{"re*t", "systemctl", "reboot", core.Deny},
		{"/usr/sbin/reb*", "systemctl", "reboot", core.Deny},
		{"/usr/sbin/reboot", "reboot", "reboot", core.Deny},
		{"/usr/sbin/reboot", "systemctl", "systemctl", core.Allow},
		{"/usr/sbin/reboot", "systemctl", "-reboot", core.Allow},
		{"/usr/sbin/reboot", "systemctl", "", core.Allow},
	} {
		set := compileSketches(t, linux(), sketch{controls: "DENY", apps: []string{tc.deny}}, sketch{controls: "ALLOW", apps: []string{"/usr/bin/systemctl"}})
		if got := set.Decide(ask("/usr/bin/systemctl", tc.requested, tc.argv, "status")); got.Outcome != tc.outcome {
			t.Errorf("DENY %s, %s called %q: %s, expected %s", tc.deny, tc.requested, tc.argv, got.Outcome, tc.outcome)
		}
	}
	// A name of one's own is no other program's.
	set := compileSketches(t, linux(), sketch{controls: "DENY", apps: []string{"/usr/bin/vi"}}, sketch{controls: "ALLOW"})
	if got := set.Decide(ask("/home/alice/vi", "/home/alice/vi", "./vi")); got.Outcome != core.Allow {
		t.Errorf("another vi: %s", got.Outcome)
	}
}

func TestTimeFilters(t *testing.T) {
	extra := func(s string) sketch { return sketch{extra: ", " + s} }
	at := func(s string) func(*Question) {
		return func(q *Question) {
			moment, err := time.ParseInLocation("2006-01-02 15:04:05", s, berlin())
			if err != nil {
				panic(err)
			}
			q.Time = moment
		}
	}
	office := extra(`"TimeCheck": [{"StartTime": "9", "EndTime": "18"}]`)
	night := extra(`"TimeCheck": [{"StartTime": "22", "EndTime": "6"}]`)
	evening := extra(`"TimeCheck": [{"StartTime": 18, "EndTime": 0}]`)
	january := extra(`"DateCheck": [{"StartDate": "2026-01-01", "EndDate": "2026-01-31"}]`)
	sunday := extra(`"DayCheck": [0]`)
	small := extra(`"TimeCheck": [{"StartTime": "2:15", "EndTime": "2:45"}]`)
	checkMeetings(t, []meeting{
		{"the first second", office, at("2026-11-18 09:00:00"), true, true},
		{"the last second", office, at("2026-11-18 17:59:59"), true, true},
		{"the end", office, at("2026-11-18 18:00:00"), false, false},
		{"before", office, at("2026-11-18 08:59:59"), false, false},
		{"over midnight, before it", night, at("2026-11-18 23:00:00"), true, true},
		{"over midnight, after it", night, at("2026-11-18 05:59:59"), true, true},
		{"over midnight, by day", night, at("2026-11-18 12:00:00"), false, false},
		{"until midnight", evening, at("2026-11-18 23:59:59"), true, true},
		{"until midnight, after it", evening, at("2026-11-18 00:00:00"), false, false},
		{"the first day", january, at("2026-01-01 00:00:00"), true, true},
		{"the last day counts", january, at("2026-01-31 23:59:59"), true, true},
		{"the day after", january, at("2026-02-01 00:00:00"), false, false},
		{"instants", extra(`"DateCheck": [{"StartDate": 1767225600000, "EndDate": 1767225601000}]`), at("2026-01-01 01:00:01"), true, true},
		{"after the instant", extra(`"DateCheck": [{"StartDate": 1767225600000, "EndDate": 1767225601000}]`), at("2026-01-01 01:00:02"), false, false},
		{"one of two spans", extra(`"DateCheck": [{"StartDate": "2020-01-01", "EndDate": "2020-01-01"}, {"StartDate": "2026-01-01", "EndDate": "2026-01-01"}]`), at("2026-01-01 10:00:00"), true, true},
		{"the day of the machine's zone", sunday, at("2026-11-22 00:30:00"), true, true},
		{"saturday in the machine's zone", sunday, at("2026-11-21 23:30:00"), false, false},
		// 29 March 2026: 2:00 becomes 3:00. 25 October 2026: 3:00 becomes 2:00.
		{"an hour that does not exist", small, func(q *Question) { q.Time = time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC).In(berlin()) }, false, false},
		{"an hour that comes twice, first", small, func(q *Question) { q.Time = time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC).In(berlin()) }, true, true},
		{"an hour that comes twice, second", small, func(q *Question) { q.Time = time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC).In(berlin()) }, true, true},
		{"between the two", small, func(q *Question) { q.Time = time.Date(2026, 10, 25, 0, 50, 0, 0, time.UTC).In(berlin()) }, false, false},
		{"the day of 23 hours", extra(`"DateCheck": [{"StartDate": "2026-03-29", "EndDate": "2026-03-29"}]`), at("2026-03-29 23:59:59"), true, true},
		{"a span that cannot be read", extra(`"TimeCheck": [{"StartTime": "9", "EndTime": "18"}, {"StartTime": "x", "EndTime": "18"}]`), at("2026-11-18 03:00:00"), false, true},
		{"a day that cannot be read", extra(`"DayCheck": [1, 9]`), nil, false, true},
		{"all empty", extra(`"DateCheck": [], "TimeCheck": [], "DayCheck": [], "CertificationCheck": []`), nil, true, true},
	})
}

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kpm/api/client"
	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/settings"
)

// service answers with a list, and keeps what it was asked.
type service struct {
	list    []view.Approval
	asked   []string
	refuses string
	// enrolled is what a ticket is answered with.
	enrolled *view.Enrollment
	// steps are answered one after the other to whoever logs in again.
	steps []view.Login
}

func (s *service) Call(_ context.Context, method, path string, body []byte) (json.RawMessage, error) {
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s", method, path, body))
	if method == "GET" {
		return json.Marshal(s.list)
	}
	if s.refuses != "" {
		return nil, &client.Refusal{Code: "conflict", Detail: s.refuses}
	}
	if path == "/api/Mfa/login" && len(s.steps) > 0 {
		step := s.steps[0]
		s.steps = s.steps[1:]
		return json.Marshal(step)
	}
	if s.enrolled != nil {
		return json.Marshal(s.enrolled)
	}
	return json.Marshal(view.Approval{ID: strings.Split(path, "/")[3], Status: core.ApprovalApproved})
}

// person is a run of keeperAgent at which somebody types.
type person struct {
	*agent
	*service
	out bytes.Buffer
	ran []string
}

func newPerson(typed string, list ...view.Approval) *person {
	p := &person{service: &service{list: list}}
	p.agent = &agent{to: p.service, layout: settings.At("/agent", ""), Config: Config{
		Host: port.Host{Facts: port.Facts{Platform: core.Linux}}, Stdin: strings.NewReader(typed), Stdout: &p.out, Interactive: true,
		Run: func(program, dir string, args []string) (int, error) {
			p.ran = append(p.ran, fmt.Sprintf("%s in %s: %q", program, dir, args))
			return 3, nil
		},
	}}
	return p
}

func approved(id string, argv ...string) view.Approval {
	return view.Approval{ID: id, Status: core.ApprovalApproved, Own: true, FilePath: "/usr/bin/" + argv[0], RequestedPath: argv[0], Arguments: argv, Directory: "/srv", TargetUser: "root", ExpireIn: 1437}
}

func waitingOf(id string, own bool) view.Approval {
	a := approved(id, "rm", "\x1b[2J")
	a.Status, a.Own, a.MayDecide, a.UserName, a.Justification = core.ApprovalPending, own, !own, "bob", "it is \x1b full"
	return a
}

// What was published of it: a number runs, p, r and e.
func TestTalk(t *testing.T) {
	used := approved("USED-2222", "id")
	used.Used = true
	theirs := approved("THEI-RS22", "id")
	theirs.Own = false
	for name, tc := range map[string]struct {
		typed  string
		says   []string
		ran    string
		status int
	}{
		"a number":       {"2\n", []string{"1: /usr/bin/apt-get install git (expires in 23 hours and 57 minutes)\n2: /usr/bin/id -u (expires"}, `/agent/keepersudo in /srv: ["--no-wait" "--user" "root" "--" "id" "-u"]`, 3},
		"end":            {"e\n1\n", nil, "", 0},
		"end of input":   {"", nil, "", 0},
		"none of these":  {"3\nx\n0\ne\n", []string{`"3" is none of these`, `"x" is none`, `"0" is none`}, "", 0},
		"refresh":        {"r\ne\n", []string{"1: /usr/bin/apt-get"}, "", 0},
		"pending":        {"p\ne\n", []string{"MINE-2222 pending: /usr/bin/rm", "1: YOUR-2222 bob wants /usr/bin/rm", "because: it is \ufffd full"}, "", 0},
		"nothing chosen": {"a\na 7\nd x\ne\n", []string{"Which one?"}, "", 0},
	} {
		p := newPerson(tc.typed, approved("AAAA-2222", "apt-get", "install", "git"), used, approved("BBBB-2222", "id", "-u"), theirs, waitingOf("MINE-2222", true), waitingOf("YOUR-2222", false))
		if err := p.talk(t.Context(), p.list()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range tc.says {
			if !strings.Contains(p.out.String(), text) {
				t.Errorf("%s: %q is not in\n%s", name, text, &p.out)
			}
		}
		if strings.Join(p.ran, "") != tc.ran || p.status != tc.status || strings.Contains(p.out.String(), "\x1b") {
			t.Errorf("%s: ran %q, status %d\n%s", name, p.ran, p.status, &p.out)
		}
	}
}

func (p *person) list() []view.Approval { return p.service.list }

func TestDecidingInTheTalk(t *testing.T) {
	p := newPerson("p\na 1 fine by me\nd 1 no\ne\n", waitingOf("YOUR-2222", false))
	if err := p.talk(t.Context(), p.list()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`POST /api/approvals/YOUR-2222/approve {"comment":"fine by me"}`, `POST /api/approvals/YOUR-2222/deny {"comment":"no"}`} {
		if !slices.Contains(p.asked, want) {
			t.Errorf("asked %q, expected %q", p.asked, want)
		}
	}
	// What is refused is said, and the talk goes on.
	p = newPerson("p\na 1\ne\n", waitingOf("YOUR-2222", false))
	p.refuses = "it is denied already"
	if err := p.talk(t.Context(), p.list()); err != nil || !strings.Contains(p.out.String(), "it is denied already\n"+keys) {
		t.Errorf("%v: %s", err, &p.out)
	}
}

// What is run is what was asked for: the same name, directory and bytes.
func TestHowItIsRun(t *testing.T) {
	tool := approved("AAAA-2222", "./tool", `\xFF`)
	tool.FilePath, tool.RequestedPath, tool.TargetUser, tool.ArgumentBytes = "/srv/tool", "/srv/tool", "postgres", map[int][]byte{1: {0xff}}
	path := approved("AAAA-2222", "/usr/bin/id")
	path.RequestedPath = "/usr/bin/id"
	copied := tool
	copied.Arguments, copied.ArgumentBytes = []string{"/srv/real"}, nil
	broken := tool
	broken.ArgumentBytes = map[int][]byte{7: {1}}
	for name, tc := range map[string]struct {
		one  view.Approval
		want string
	}{
		"a relative path, and bytes":  {tool, `["--no-wait" "--user" "postgres" "--" "./tool" "\xff"]`},
		"a path":                      {path, `["--no-wait" "--user" "root" "--" "/usr/bin/id"]`},
		"what runs from a copy":       {copied, `["--no-wait" "--user" "postgres" "--" "/srv/tool"]`},
		"what does not fit together":  {broken, ""},
		"an option that is a command": {approved("AAAA-2222", "-x"), `["--no-wait" "--user" "root" "--" "-x"]`},
	} {
		p := newPerson("", tc.one)
		err := p.runByID(p.list(), "aaaa2222")
		if (err == nil) != (tc.want != "") || tc.want != "" && (len(p.ran) != 1 || !strings.HasSuffix(p.ran[0], "in /srv: "+tc.want)) {
			t.Errorf("%s: %v, ran %q", name, err, p.ran)
		}
	}
	p := newPerson("")
	if err := p.runByID(p.list(), "AAAA-2222"); err == nil || !strings.Contains(err.Error(), "none of your approved requests") {
		t.Error(err)
	}
	p = newPerson("", path)
	p.Run = func(string, string, []string) (int, error) { return 0, errors.New("gone") }
	if err := p.runByID(p.list(), "AAAA-2222"); err == nil {
		t.Error("what could not be started passes for success")
	}
}

func TestNews(t *testing.T) {
	p := newPerson("", approved("AAAA-2222", "id"), waitingOf("MINE-2222", true), waitingOf("YOUR-2222", false))
	if err := p.news(p.list()); err != nil || p.out.String() != "1 approved, to be run with keeperAgent --approval\n1 waiting for approvers\n1 for you to decide on\n" {
		t.Errorf("%v: %s", err, &p.out)
	}
}

// A word that is none, or nothing to do, is told, and nobody is asked.
func TestCommandLines(t *testing.T) {
	for line, says := range map[string]string{
		"": "at least one of the flags", "--approve A --deny B": "none of the others can be", "--nothing": "unknown flag", "x": `unknown command "x"`,
	} {
		var out, diag bytes.Buffer
		if status := Run(t.Context(), strings.Fields(line), Config{Stdout: &out, Stderr: &diag}); status != exitUsage || !strings.Contains(diag.String(), says) {
			t.Errorf("%q: %d %q", line, status, &diag)
		}
	}
	var out bytes.Buffer
	if status := Run(t.Context(), []string{"--help"}, Config{Stdout: &out}); status != 0 || !strings.Contains(out.String(), "keeperAgent --run K7QP-3M2X") {
		t.Errorf("%d %s", status, &out)
	}
}

// The ticket is read, not given on the command line; what is shown is shown once.
func TestEnrolling(t *testing.T) {
	for name, tc := range map[string]struct {
		typed string
		json  bool
		says  string
		asked int
	}{
		"typed":   {"aaaa-bbbb-cccc-dddd\n", false, "  secret  GEZDGNBV\n", 1},
		"as JSON": {"aaaa-bbbb-cccc-dddd", true, `"secret":"GEZDGNBV"`, 1},
		"nothing": {"", false, "", 0},
	} {
		p := newPerson(tc.typed)
		p.json, p.enrolled = tc.json, &view.Enrollment{User: "ada", URI: "otpauth://totp/x", Secret: "GEZDGNBV", RecoveryCodes: []string{"eeee-ffff"}}
		err := p.enrolls(t.Context())
		if len(p.asked) != tc.asked || (err == nil) != (tc.asked == 1) || !strings.Contains(p.out.String(), tc.says) {
			t.Errorf("%s: %v, asked %q, said %q", name, err, p.asked, p.out.String())
		}
		if tc.asked == 1 && p.asked[0] != `POST /api/Mfa {"ticket":"aaaa-bbbb-cccc-dddd"}` {
			t.Errorf("%s: asked %q", name, p.asked)
		}
	}
	// Without a ticket they log in again: what is secret is read without being shown.
	logs := newPerson("\n7\n")
	logs.enrolled = &view.Enrollment{User: "ada", URI: "otpauth://totp/x", Secret: "GEZDGNBV"}
	logs.steps = []view.Login{
		{ID: "Z", Question: "Password: ", Secret: true, Told: []string{"it \x1b[2J is late"}}, {ID: "Z", Question: "Token: "}, {ID: "Z", Ticket: &view.Ticket{Ticket: "cccc"}},
	}
	logs.Secret = func(_ context.Context, question string) (string, error) { return "what " + question + "asks", nil }
	if err := logs.enrolls(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST /api/Mfa/login {}`, `POST /api/Mfa/login {"id":"Z","answer":"what Password: asks"}`,
		`POST /api/Mfa/login {"id":"Z","answer":"7"}`, `POST /api/Mfa {"ticket":"cccc"}`,
	}
	if out := logs.out.String(); !slices.Equal(logs.asked, want) || strings.Contains(out, "\x1b") || !strings.Contains(out, "Token: ") {
		t.Errorf("asked %q\n%q", logs.asked, out)
	}
	p := newPerson("aaaa\n")
	p.refuses = "this ticket is not yours"
	var refused *client.Refusal
	if err := p.enrolls(t.Context()); !errors.As(err, &refused) {
		t.Errorf("refused: %v", err)
	}
}

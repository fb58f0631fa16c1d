//go:build linux

// Command demo shows four real elevations on an agent of its own and leaves
// nothing behind. `make demo` runs it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/terminal"
)

// nobody is the user who asks: no account of the machine is touched.
const nobody = 65534

var policies = map[string]string{
	"allow-id.json": `{
  "PolicyId": "demo-allow-id", "PolicyName": "Anyone may see who they are as root",
  "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["{usr}/bin/id"]
}`,
	"deny-shells.json": `{
  "PolicyId": "demo-deny-shells", "PolicyName": "No root shells",
  "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["DENY"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*/sh", "*/bash", "*/dash"]
}`,
	"justify-stat.json": `{
  "PolicyId": "demo-justify-stat", "PolicyName": "Say why you look at files as root",
  "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["JUSTIFY"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["{usr}/bin/stat"]
}`,
}

type elevation struct {
	title string
	argv  []string
	// reason is typed at the prompt, in a terminal of nobody's own.
	reason string
	want   int // exit status
}

var elevations = []elevation{
	{title: "allowed", argv: []string{"id", "-u"}},
	{title: "denied", argv: []string{"sh", "-c", "id -u"}, want: 1},
	{title: "justified", argv: []string{"stat", "-c", "%U owns %n, read by uid 0", "/etc/shadow"}, reason: "checking who owns the password file"},
	{title: "no policy", argv: []string{"env"}, want: 1},
}

func main() {
	staged := flag.String("agent", "build/agent", "staged agent root")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *staged); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, staged string) (err error) {
	dir, err := os.MkdirTemp("", "kpm-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	a, err := agent.New(staged, dir, policies)
	if err != nil {
		return err
	}
	began := time.Now()
	ports, err := a.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Stop()) }()
	fmt.Printf("The service is ready after %d ms: HTTPS %d, MQTT %d, door %s\n\n",
		time.Since(began).Milliseconds(), ports.HTTPS, ports.MQTT, ports.Door)

	for _, e := range elevations {
		if err := show(ctx, a, e); err != nil {
			return fmt.Errorf("%s: %w", e.title, err)
		}
	}
	return summary(ctx, a)
}

// show runs one elevation and prints it as nobody saw it.
func show(ctx context.Context, a *agent.Agent, e elevation) error {
	fmt.Printf("nobody$ keepersudo %s\n", quoted(e.argv))
	cmd := a.Sudo(ctx, nobody, e.argv...)
	var out bytes.Buffer
	var err error
	if e.reason != "" {
		err = justify(cmd, e.reason, &out)
	} else {
		cmd.Stdout, cmd.Stderr = &out, &out
		err = cmd.Run()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	for line := range strings.Lines(out.String()) {
		fmt.Printf("  %s\n", strings.TrimRight(line, "\r\n"))
	}
	if got := cmd.ProcessState.ExitCode(); got != e.want {
		return fmt.Errorf("exit status %d, expected %d\n%s", got, e.want, a.Log())
	}
	fmt.Println()
	return nil
}

// quoted shows argv as it would be typed.
func quoted(argv []string) string {
	words := make([]string, len(argv))
	for i, arg := range argv {
		words[i] = arg
		if strings.ContainsAny(arg, " %,") {
			words[i] = "'" + arg + "'"
		}
	}
	return strings.Join(words, " ")
}

// justify types the reason when it is asked for.
func justify(cmd *exec.Cmd, reason string, out *bytes.Buffer) error {
	t, err := terminal.Open(nobody, 24, 80)
	if err != nil {
		return err
	}
	t.Attach(cmd)
	if err := cmd.Start(); err != nil {
		return errors.Join(err, t.Close())
	}
	if err := t.Expect("eason", 10*time.Second); err == nil {
		err = t.Type(reason + "\n")
		if err != nil {
			return errors.Join(err, t.Close())
		}
	}
	err = cmd.Wait()
	closed := t.Close()
	out.WriteString(t.Output())
	return errors.Join(err, closed)
}

// record is what the demo reads of a journal record.
type record struct {
	Type     string    `json:"type"`
	Time     time.Time `json:"time"`
	Request  string    `json:"request"`
	UserID   string    `json:"userId"`
	User     string    `json:"user"`
	TargetID string    `json:"targetId"`
	Argv     []string  `json:"argv"`
	Policies []struct {
		ID string `json:"PolicyId"`
	} `json:"policies"`
}

// summary reads the journal back as an auditor would.
func summary(ctx context.Context, a *agent.Agent) error {
	out, err := a.Admin(ctx, "audit", "tail", "-n", "1000", "--json")
	if err != nil {
		return err
	}
	type row struct {
		who, what, decision, policy, before, after string
		from, to                                   time.Time
	}
	var order []string
	rows := map[string]*row{}
	for line := range strings.Lines(out) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return fmt.Errorf("audit tail: %w: %s", err, line)
		}
		if r.Request == "" {
			continue
		}
		w := rows[r.Request]
		if w == nil {
			w = &row{after: "-", policy: "none"}
			rows[r.Request] = w
			order = append(order, r.Request)
		}
		switch r.Type {
		case "opened":
			w.who, w.before, w.what, w.from = r.User, r.UserID, strings.Join(r.Argv, " "), r.Time
			w.after = r.TargetID
		case "allowed", "pending", "denied":
			if w.decision == "" {
				w.decision = map[string]string{"allowed": "ALLOW", "pending": "PENDING (reason)", "denied": "DENY"}[r.Type]
			}
			if len(r.Policies) > 0 {
				w.policy = r.Policies[0].ID
			}
			if r.Type == "denied" {
				w.after = "-"
			}
		}
		w.to = r.Time
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHO\tWHAT\tDECISION\tPOLICY\tUID BEFORE\tUID AFTER\tMS")
	for _, id := range order {
		w := rows[id]
		fmt.Fprintf(table, "%s\t%.40s\t%s\t%s\t%s\t%s\t%.1f\n", w.who, w.what, w.decision, w.policy, w.before, w.after,
			float64(w.to.Sub(w.from).Microseconds())/1000)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	tail, err := a.Admin(ctx, "audit", "tail", "-n", "8")
	if err != nil {
		return err
	}
	verdict, err := a.Admin(ctx, "audit", "verify")
	if err != nil {
		return err
	}
	fmt.Printf("\nThe end of the journal:\n%s\nIts verification:\n%s", tail, verdict)
	return nil
}

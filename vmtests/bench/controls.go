//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kpm/vmtests/agent"
)

// Programs that policy, and sudo, ask something for: copies of one that does nothing.
const (
	reasoned = "/usr/local/bin/bench-reason" // sudo asks alice for her password
	factored = "/usr/local/bin/bench-code"
	approved = "/usr/local/bin/bench-approval"
)

// controlPolicies are in force only while these rows are measured.
const controlPolicies = `[
 {"PolicyId": "reason", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": ["JUSTIFY"]}}, "UserCheck": ["*"], "MachineCheck": ["*"],
  "ApplicationCheck": ["` + reasoned + `"], "Extension": {"Grant": {"For": "1h", "Covers": "policy"}}},
 {"PolicyId": "code", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": ["MFA"]}}, "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["` + factored + `"]},
 {"PolicyId": "approval", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": ["APPROVAL"]}}, "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["` + approved + `"]}
]`

const (
	sudoPassword     = "bench password"
	sudoAsksPassword = "alice ALL=(ALL) PASSWD: " + reasoned + "\n"
)

// askedFor has policies and sudo ask for something while do measures.
func askedFor(ctx context.Context, alice person, vs versions, do func() error) (err error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	for _, path := range []string{reasoned, factored, approved} {
		if err := os.WriteFile(path, data, 0o755); err != nil {
			return err
		}
	}
	const rule = "/etc/sudoers.d/bench" // behind the rule that asks for nothing
	if err := os.WriteFile(rule, []byte(sudoAsksPassword), 0o440); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(rule)) }()
	passwd := exec.CommandContext(ctx, "chpasswd")
	passwd.Stdin = strings.NewReader("alice:" + sudoPassword + "\n")
	if out, err := passwd.CombinedOutput(); err != nil {
		return fmt.Errorf("chpasswd: %w\n%s", err, out)
	}
	const file = "Policies/controls.json"
	defer func() {
		for _, v := range vs {
			err = errors.Join(err, os.RemoveAll(filepath.Join(v.agent.Root, file)))
		}
	}()
	for _, v := range vs {
		if err := v.agent.Write(file, controlPolicies); err != nil {
			return err
		}
		refused := keepersudo(v.agent, "-n", reasoned)
		refused.status = 1
		for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // nothing tells when policies are in force
			if _, err := alice.time(ctx, refused); err == nil {
				break
			} else if time.Now().After(until) {
				return fmt.Errorf("policies are not in force: %w", err)
			}
		}
	}
	return do()
}

// remembered measures elevations for which what policy asks for was given before, at the
// same terminal, beside sudo with a fresh timestamp.
func (m *meter) remembered(ctx context.Context, alice person, vs versions) (err error) {
	at, err := alice.sits(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.leaves()) }()
	if err := at.answer("assword", sudoPassword, "/usr/bin/sudo", reasoned); err != nil {
		return err
	}
	sudo := sampler{"sudo", func() (float64, error) { return at.time("/usr/bin/sudo", "-n", reasoned) }}
	for _, v := range vs {
		out, err := v.agent.Admin(ctx, "mfa", "enroll", "alice", "--json")
		var enrolled struct{ RecoveryCodes []string }
		if err == nil {
			err = json.Unmarshal([]byte(out), &enrolled)
		}
		if err != nil || len(enrolled.RecoveryCodes) == 0 {
			return fmt.Errorf("mfa enroll: %w\n%s", err, out)
		}
		if _, err := at.time(keepersudo(v.agent, "--for", "1h", "--reason", "bench", reasoned).argv...); err != nil {
			return err
		}
		if err := at.answer("enter your code: ", enrolled.RecoveryCodes[0], keepersudo(v.agent, factored).argv...); err != nil {
			return err
		}
	}
	measure := func(name, program string, n int) error {
		return m.measure(ctx, name, "ms", n, min(10, n), append([]sampler{sudo}, vs.each(func(a *agent.Agent) func() (float64, error) {
			return func() (float64, error) { return at.time(keepersudo(a, "-n", program).argv...) }
		})...))
	}
	return errors.Join(
		measure("elevation with a remembered grant, terminal, beside sudo's fresh timestamp", reasoned, m.plan.samples),
		// What was entered is remembered for five minutes.
		measure("elevation with a remembered code, terminal, beside sudo's fresh timestamp", factored, min(200, m.plan.samples)),
	)
}

// mostApprovals is how often one person may ask for approval in a short time.
const mostApprovals = 12

// approvals measures from the request to the end of the command that an approver allowed
// as soon as they saw it.
func (m *meter) approvals(ctx context.Context, alice person, vs versions) error {
	return m.measure(ctx, "approval: asked for, given by the API, run", "ms", min(mostApprovals, m.plan.samples), 1,
		vs.each(func(a *agent.Agent) func() (float64, error) {
			return func() (float64, error) {
				given := make(chan error, 1)
				go func() { given <- approveNext(ctx, a) }() // which ends with the command, or after 30 s
				took, err := alice.time(ctx, keepersudo(a, "--wait", "--reason", "bench", approved))
				return took, errors.Join(err, <-given)
			}
		}))
}

// approveNext agrees to the next request that waits.
func approveNext(ctx context.Context, a *agent.Agent) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := a.Client()
	defer client.CloseIdleConnections()
	for {
		var list []struct{ ID, Status string }
		if err := call(ctx, client, http.MethodGet, "/api/approvals", "", &list); err != nil {
			return err
		}
		for _, one := range list {
			if one.Status == "pending" {
				return call(ctx, client, http.MethodPost, "/api/approvals/"+one.ID+"/approve", "{}", nil)
			}
		}
		time.Sleep(500 * time.Microsecond) // an approver who looks often
	}
}

func call(ctx context.Context, client *http.Client, method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

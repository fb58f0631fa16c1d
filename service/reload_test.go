package service_test

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/core/wire"
	"kpm/platform/fake"
	"kpm/plugins/sdk"
)

// The service manager lets go whoever asked for a reload when it is told that the
// service is ready: by then policies are in force, or the log says why they are not.
func TestReloadEndsWhenPoliciesAreInForce(t *testing.T) {
	m := install(t)
	faults := make(chan string, 1)
	m.install(m.policyProgram(), func(ctx context.Context, p *fake.Process) core.ExitStatus {
		agent, err := sdk.Start(ctx, sdk.Config{ID: wire.PolicyPlugin, Network: sockets{p}})
		if err != nil {
			return core.ExitStatus{Code: 1}
		}
		defer agent.Close()
		err = agent.SubscribeDirect(ctx, wire.TopicPolicy, func(message sdk.Message) {
			question, err := message.Decode()
			var q wire.PolicyRequest
			if err != nil || question.Read(wire.TypePolicyRequest, &q) != nil {
				return
			}
			answer := wire.PolicyResponse{Decision: core.Deny}
			if q.EventType == wire.EventReload {
				answer.Fault = <-faults
				m.Service.Told <- "policies read"
			}
			_ = agent.Reply(question, wire.TypePolicyResponse, answer)
		})
		if err != nil {
			return core.ExitStatus{Code: 2}
		}
		<-ctx.Done()
		return core.ExitStatus{}
	})
	m.start()
	const inForce, notInForce = `msg="reloaded policies" by=KeeperPolicy`, `msg="reload: policies are not in force as they lie there" error="a.json: no JSON"`
	for _, tc := range []struct{ fault, says, not string }{
		{"", inForce, notInForce},
		{"a.json: no JSON", notInForce, ""},
	} {
		faults <- tc.fault
		m.reload <- syscall.SIGHUP
		for _, want := range []string{"reloading", "policies read", "ready"} {
			m.told(want)
		}
		if log := m.log(); !strings.Contains(log, tc.says) || tc.not != "" && strings.Contains(log, tc.not) {
			t.Errorf("the log lacks %q, or has %q:\n%s", tc.says, tc.not, log)
		}
	}
}

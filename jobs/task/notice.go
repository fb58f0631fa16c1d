package task

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/wire"
)

// Bus is what commands say things on, as a run and with its rights, or for the service.
type Bus interface {
	PublishAs(ctx context.Context, p core.Principal, topic string, payload []byte) error
	// Publish says something that is the service's own.
	Publish(ctx context.Context, topic string, m wire.RequestMessage) error
	// Heard reports whether anybody subscribes to topic.
	Heard(topic string) bool
}

// errUnseen is why a task fails that shows something while nobody can.
var errUnseen = errors.New("nobody would see it: no plugin listens on topic " + wire.TopicClient)

// Notice has parameter "Message", under "Title", shown to the user of the run: kind is
// message, which stays until it is closed, or toast. The user's KeeperClient shows it;
// without one the task fails, so that its job can do something else.
func Notice(bus Bus, kind string) Command {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		message, ok := params["Message"].(string)
		if !ok {
			return nil, errors.New("parameter Message: expected text")
		}
		if !bus.Heard(wire.TopicClient) {
			return nil, errUnseen
		}
		notice := wire.Notice{Kind: kind, Message: wire.Printable(message), JobID: run.Name, RequestID: run.Request}
		notice.Title, _ = params["Title"].(string)
		notice.UserName, _ = params["UserName"].(string)
		notice.SessionID, _ = params["SessionId"].(string)
		notice.Title = wire.Printable(notice.Title)
		m, err := wire.New(wire.TypeNotice, core.ServicePrincipal().String(), notice)
		if err != nil {
			return nil, err
		}
		return nil, bus.Publish(ctx, wire.TopicClient, m)
	}
}

// errNoApprover is why check-approval-provider fails.
var errNoApprover = errors.New("nobody can approve: no plugin listens on topic " + wire.TopicApproval)

// CheckApprovalProvider succeeds if there is somebody who takes requests for approval,
// and says so in ApprovalProviderAvailable.
func CheckApprovalProvider(bus Bus) Command {
	return func(context.Context, core.Principal, map[string]any) (map[string]any, error) {
		available := bus.Heard(wire.TopicApproval)
		found := map[string]any{"ApprovalProviderAvailable": available}
		if !available {
			return found, errNoApprover
		}
		return found, nil
	}
}

// maxOutput bounds what is kept of a task's output, in bytes.
const maxOutput = 16 << 10

// bounded is the beginning of output as text.
func bounded(output []byte, limit int) (text string, cut bool) {
	if cut = len(output) > limit; cut {
		output = output[:limit]
	}
	return lines(output), cut
}

// lines is foreign output as text that moves no cursor; line ends and tabs stay.
func lines(output []byte) string {
	var b []byte
	start := 0
	for i, c := range output {
		if c == '\n' || c == '\t' {
			b = append(append(b, wire.Printable(string(output[start:i]))...), c)
			start = i + 1
		}
	}
	return string(append(b, wire.Printable(string(output[start:]))...))
}

package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"kpm/api/client/enrollment"
	"kpm/core/view"
	"kpm/core/wire"
)

// maxInput bounds what is read of tickets and answers, in bytes.
const maxInput = 4096

// enrolls enrols the person with a ticket, or with what they log in with, that they
// type: it is in no history and in no list of processes.
func (a *agent) enrolls(ctx context.Context) error {
	picture, err := enrollment.NewPicture(a.png)
	if err != nil {
		return err
	}
	enrolled, text, err := a.redeem(ctx)
	if err != nil {
		return errors.Join(err, picture.Discard())
	}
	if err := picture.Write(enrolled); err != nil {
		return err
	}
	if a.json {
		return a.print("%s\n", wire.Printable(string(text)))
	}
	return enrollment.Print(a.Stdout, enrolled)
}

// redeem hands a ticket to the service: one that the person types, or that they are
// given for logging in again.
func (a *agent) redeem(ctx context.Context) (enrolled view.Enrollment, text []byte, err error) {
	if a.Interactive {
		if err := a.print("Ticket (Enter if you have none: log in again instead): "); err != nil {
			return enrolled, nil, err
		}
	}
	ticket, err := a.input()
	ticket = strings.TrimSpace(ticket)
	switch {
	case errors.Is(err, io.EOF):
		return enrolled, nil, fmt.Errorf("found no ticket; an administrator gives you one: KeeperAdminCLI mfa ticket; %w", errUsage)
	case err == nil && ticket == "":
		ticket, err = a.logsIn(ctx)
	}
	if err != nil {
		return enrolled, nil, err
	}
	body, err := json.Marshal(map[string]string{"ticket": ticket})
	if err == nil {
		text, err = a.to.Call(ctx, "POST", "/api/Mfa", body)
	}
	if err == nil {
		err = json.Unmarshal(text, &enrolled)
	}
	return enrolled, text, err
}

// logsIn answers what the machine's own check of logins asks, and returns the ticket
// that the service gives for it.
func (a *agent) logsIn(ctx context.Context) (string, error) {
	var answer view.LoginAnswer
	for {
		body, err := json.Marshal(answer)
		if err != nil {
			return "", err
		}
		text, err := a.to.Call(ctx, "POST", "/api/Mfa/login", body)
		if err != nil {
			return "", err
		}
		var step view.Login
		if err := json.Unmarshal(text, &step); err != nil {
			return "", err
		}
		for _, told := range step.Told {
			if err := a.print("%s\n", wire.Printable(told)); err != nil {
				return "", err
			}
		}
		if step.Ticket != nil {
			return step.Ticket.Ticket, nil
		}
		answer.ID = step.ID
		if answer.Answer, err = a.asks(ctx, wire.PrintableLine(step.Question), step.Secret); err != nil {
			return "", err
		}
	}
}

// asks asks the person, or reads the next line where nobody sits there.
func (a *agent) asks(ctx context.Context, question string, secret bool) (string, error) {
	switch {
	case a.Interactive && secret && a.Secret != nil:
		return a.Secret(ctx, question)
	case a.Interactive:
		if err := a.print("%s", question); err != nil {
			return "", err
		}
	}
	line, err := a.input()
	if errors.Is(err, io.EOF) {
		return "", fmt.Errorf("found no answer to %q; %w", question, errUsage)
	}
	return line, err
}

// input is the next line of standard input, without its end; io.EOF if there
// is none.
func (a *agent) input() (string, error) {
	if a.typed == nil {
		a.typed = bufio.NewReader(io.LimitReader(a.Stdin, maxInput))
	}
	line, err := a.typed.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

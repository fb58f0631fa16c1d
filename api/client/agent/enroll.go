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

// maxTicket bounds what is read of a ticket, in bytes.
const maxTicket = 256

// enrolls enrols the person with a ticket that they type: it is in no history and in
// no list of processes.
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

// redeem asks for the ticket, and hands it to the service.
func (a *agent) redeem(ctx context.Context) (enrolled view.Enrollment, text []byte, err error) {
	if a.Interactive {
		if err := a.print("Ticket: "); err != nil {
			return enrolled, nil, err
		}
	}
	line, err := bufio.NewReader(io.LimitReader(a.Stdin, maxTicket)).ReadString('\n')
	ticket := strings.TrimSpace(line)
	if err != nil && !errors.Is(err, io.EOF) || ticket == "" {
		return enrolled, nil, fmt.Errorf("found no ticket; an administrator gives you one: KeeperAdminCLI mfa ticket; %w", errUsage)
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

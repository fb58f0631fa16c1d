package service

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher/execution"
)

// newExecution makes what decides about programs right before they run. It is off until
// settings are in force.
func (s *service) newExecution() *execution.Server {
	return execution.New(execution.Config{
		Control: s.host.Executions,
		Consult: func(ctx context.Context, q wire.PolicyRequest) (wire.PolicyResponse, error) {
			return s.launcher.Consult(ctx, q)
		},
		Granted: s.mayExecute, Append: s.journal.Append, Name: s.nameOf, Machine: machineName, People: s.people(),
		Refused: s.executionRefused, Changed: s.health.changed,
		Log: s.log.With("component", "execution"),
	})
}

// contactsWithin bounds how long the user database is asked who the administrators are.
const contactsWithin = time.Second

// executionRefused tells a person which program they were kept from, by which policy, and
// what they can do.
func (s *service) executionRefused(r execution.Refusal) {
	ctx, cancel := context.WithTimeout(context.Background(), contactsWithin)
	defer cancel()
	whom := cmp.Or(strings.Join(s.contacts(ctx, core.Account{User: r.User, Name: r.Name}), ", or "), "whoever writes the policies")
	s.notify(r.User, r.Name, "", executionNotice(s.host.Facts.Platform, r, whom))
}

// executionNotice words a refusal for whoever asks whom for more.
func executionNotice(platform core.Platform, r execution.Refusal, whom string) view.Notice {
	program := wire.Quoted(platform, []string{wire.Escaped(r.Path)})
	var names []string
	for _, policy := range r.Policies {
		names = append(names, strconv.Quote(cmp.Or(policy.Name, policy.ID)))
	}
	by := "policy " + strings.Join(names, ", ")
	text := ""
	switch {
	case r.Request != "" && len(names) == 0:
		text = fmt.Sprintf("%s was not started by the command of request %s: no policy lets that start it. If you need it, ask %s", program, r.Request.Code(), whom)
	case r.Request != "":
		text = fmt.Sprintf("%s was not started by the command of request %s: %s does not let that start it. If you need it, ask %s", program, r.Request.Code(), by, whom)
	case len(r.Controls) > 0:
		text = fmt.Sprintf("%s was not started: %s asks for %s first. keepersudo --file-access %s asks you for that", program, by, join(r.Controls), program)
	case len(names) == 0:
		text = fmt.Sprintf("%s was not started: %s. If you need it, ask %s", program, cmp.Or(strings.TrimSuffix(r.Message, "."), "policy denies it"), whom)
	default:
		text = fmt.Sprintf("%s was not started: %s denies it. If you need it, ask %s", program, by, whom)
	}
	return view.Notice{Kind: view.NoticeExecution, ID: wire.PrintableLine(program), Text: wire.Printable(text)}
}

// join writes controls for people.
func join(list []core.Control) string {
	names := make([]string, len(list))
	for i, control := range list {
		names[i] = string(control)
	}
	return strings.Join(names, " and ")
}

// mayExecute reports whether a user holds an execution grant for the file at path: by
// its numbers, which are those of the file that is executed, and by the file system's
// own word that they have not been given to another file since.
func (s *service) mayExecute(user core.UserID, path string, device, inode uint64) bool {
	return s.files.Holds(user, device, inode) && s.files.HoldsAt(user, path)
}

// nameOf returns what a user is called, empty if nobody knows.
func (s *service) nameOf(user core.UserID) string {
	account, err := s.host.Accounts.ByID(user)
	if err != nil {
		return ""
	}
	return account.Name
}

// serveExecutions stops programs from now on, whenever it is switched on.
func (s *service) serveExecutions(ctx context.Context, _ Options) error {
	s.switchExecutions()
	s.background(ctx, s.execution.Run)
	return nil
}

func (s *service) switchExecutions() {
	s.execution.Switch(s.inForce.Interception.Executions, s.inForce.Interception.Mounts)
}

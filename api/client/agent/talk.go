package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"kpm/api/client"
	"kpm/api/client/approvals"
	"kpm/core/view"
	"kpm/core/wire"
)

const keys = "Number to run, p pending, r refresh, e exit: "

// listenTime bounds how long the service may take until it asks here, before somebody is
// shown what to type.
const listenTime = 5 * time.Second

// maxLine bounds what is typed, in bytes.
const maxLine = 4096

// talk shows what may be run, and does what its person says, until they have run
// something or end it.
func (a *agent) talk(ctx context.Context, list []view.Approval) error {
	in, stop := newTyping(a.Stdin)
	defer stop()
	ctx, asked, deaf, err := a.hears(ctx)
	defer deaf()
	if err != nil {
		return err
	}
	shown := runnable(list)
	if err := a.show(shown); err != nil {
		return err
	}
	for {
		text, err := a.next(ctx, in, asked, keys)
		switch {
		case errors.Is(err, io.EOF):
			return a.print("\n")
		case err != nil:
			return errors.Join(err, a.print("\n"))
		}
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		switch n, err := strconv.Atoi(words[0]); {
		case err == nil && n >= 1 && n <= len(shown):
			deaf() // the terminal is keepersudo's
			return a.start(&shown[n-1])
		case words[0] == "e":
			return nil
		case words[0] == "r", words[0] == "p":
			if list, _, err = a.list(ctx); err != nil {
				return err
			}
			shown = runnable(list)
			if words[0] == "p" {
				err = a.showWaiting(list)
			} else {
				err = a.show(shown)
			}
			if err != nil {
				return err
			}
		case words[0] == "a" || words[0] == "d":
			if err := a.answer(ctx, list, words); err != nil {
				return err
			}
		default:
			if err := a.print("%q is none of these.\n", words[0]); err != nil {
				return err
			}
		}
	}
}

// hears listens to what this person is asked, if their terminal can be asked at, until
// deaf is called. Whoever interrupts ends the context: the terminal is put back then.
func (a *agent) hears(ctx context.Context) (_ context.Context, asked <-chan heard, deaf func(), err error) {
	if a.from == nil || a.Answering == nil {
		return ctx, nil, func() {}, nil
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	said := make(chan heard)
	var listening sync.WaitGroup
	listening.Go(func() { listens(ctx, a.from, said) })
	select { // whoever sees what to type is being listened for
	case h := <-said:
		err = a.tellRefused(h)
	case <-time.After(listenTime):
	case <-ctx.Done():
	}
	return ctx, said, func() {
		stop()
		listening.Wait()
	}, err
}

// tellRefused says why nothing is asked here, if that is what was heard.
func (a *agent) tellRefused(h heard) error {
	if h.refused == "" {
		return nil
	}
	return a.print("What your requests without a terminal need is not asked here: %s\n", wire.PrintableLine(h.refused))
}

// theirs are the requests of others that this person may decide on.
func theirs(list []view.Approval) []view.Approval {
	return choose(list, func(one *view.Approval) bool { return one.MayDecide && waits(one) })
}

// showWaiting shows what waits: this person's own, and what they may decide on.
func (a *agent) showWaiting(list []view.Approval) error {
	var b strings.Builder
	for _, one := range pending(list) {
		fmt.Fprintf(&b, "%s %s: %s\n", wire.Printable(one.ID), approvals.State(&one), a.line(&one))
		if one.Challenge != "" {
			fmt.Fprintf(&b, "  by telephone: read %s to the help desk, and type their code: keeperAgent --approve-code %s\n", wire.Printable(one.Challenge), wire.Printable(one.ID))
		}
	}
	if b.Len() == 0 {
		b.WriteString("Nothing of yours waits.\n")
	}
	if others := theirs(list); len(others) > 0 {
		b.WriteString("For you to decide on (a NUMBER agrees, d NUMBER TEXT refuses):\n")
		for i, one := range others {
			fmt.Fprintf(&b, "%d: %s %s wants %s, because: %s\n", i+1, wire.Printable(one.ID), wire.Printable(one.UserName), a.line(&one), wire.Printable(one.Justification))
		}
	}
	return a.print("%s", b.String())
}

// answer decides on what showWaiting has numbered. What the service refuses is said,
// and the talk goes on.
func (a *agent) answer(ctx context.Context, list []view.Approval, words []string) error {
	others := theirs(list)
	n := 0
	if len(words) > 1 {
		n, _ = strconv.Atoi(words[1])
	}
	if n < 1 || n > len(others) {
		return a.print("Which one? p numbers those that you may decide on.\n")
	}
	verb := map[string]string{"a": "approve", "d": "deny"}[words[0]]
	err := a.decide(ctx, others[n-1].ID, verb, strings.Join(words[2:], " "))
	var refused *client.Refusal
	if errors.As(err, &refused) {
		return a.print("%s\n", wire.PrintableLine(refused.Said()))
	}
	return err
}

// typed is how the program was named: a relative path is still told by what the program
// is called.
func typed(one *view.Approval, called string) string {
	if !filepath.IsAbs(called) && filepath.Base(called) != called && filepath.Join(one.Directory, called) == one.RequestedPath {
		return called
	}
	return one.RequestedPath
}

// runByID runs one of this person's own.
func (a *agent) runByID(list []view.Approval, id string) error {
	plain := func(text string) string { return strings.ToUpper(strings.ReplaceAll(text, "-", "")) }
	for _, one := range runnable(list) {
		if plain(one.ID) == plain(id) {
			return a.start(&one)
		}
	}
	return fmt.Errorf("%s is none of your approved requests: keeperAgent --approval lists them", wire.Printable(id))
}

// start has keepersudo ask for what was approved, as it was asked for: from the same
// directory, by the same name, with the same bytes. What is run is sealed afresh and
// has to be the same (decision 31).
func (a *agent) start(one *view.Approval) error {
	argv, ok := wire.Argv(one.Arguments, one.ArgumentBytes)
	if !ok || len(argv) == 0 {
		return errors.New("the service said something unreadable: keeperAgent and the service must be of the same version")
	}
	args := []string{"--no-wait", "--user", one.TargetUser}
	if a.root != "" {
		args = append(args, "--root", a.root)
	}
	args = append(append(args, "--", typed(one, argv[0])), argv[1:]...)
	program := filepath.Join(a.layout.Root(), "keepersudo"+a.Host.Facts.Platform.ProgramSuffix())
	status, err := a.Run(program, one.Directory, args)
	if err != nil {
		return fmt.Errorf("%s cannot be run in %s: %w", program, wire.Printable(one.Directory), err)
	}
	a.status = status
	return nil
}

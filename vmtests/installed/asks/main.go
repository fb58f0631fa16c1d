//go:build linux

// Command asks has PAM check a person on a disposable machine: asks NAME reads what
// is entered from standard input and prints what came of it.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"kpm/core/port"
	"kpm/platform/linux"
)

type person struct{ *bufio.Reader }

func (p person) Ask(context.Context, string, bool) ([]byte, error) {
	line, _, err := p.ReadLine()
	return line, err
}

func (person) Tell(_ context.Context, text string) error {
	fmt.Println("told:", text)
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	account, err := linux.NewAccounts().ByName(os.Args[1])
	if err != nil {
		fmt.Println("no account:", err)
		return
	}
	p := linux.NewPAM("/opt/KeeperPrivilegeManager/keeperpam")
	err = p.Authenticate(ctx, account, person{bufio.NewReader(os.Stdin)})
	switch {
	case err == nil:
		fmt.Println("it is they")
	case errors.Is(err, port.ErrNotAuthentic):
		fmt.Println("it is not:", err)
	case errors.Is(err, port.ErrAccountRefused):
		fmt.Println("they may not:", err)
	case errors.Is(err, errors.ErrUnsupported):
		fmt.Println("not asked:", err)
	default:
		fmt.Println("error:", err)
	}
	if err := p.Close(); err != nil {
		fmt.Println("close:", err)
	}
}

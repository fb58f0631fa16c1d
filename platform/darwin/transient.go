//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/tool"
)

// TransientAccounts makes accounts in the machine's own directory by dscl(1).
// sysadminctl(8) would give them a secure token and a home of the template, which they
// do not need.
type TransientAccounts struct {
	// Homes is the folder of their homes, which root alone can change. It is made
	// when it is needed.
	Homes    string
	Accounts Accounts
}

var _ port.TransientAccounts = TransientAccounts{}

func transientName(number uint32) string {
	return port.TransientPrefix + strconv.FormatUint(uint64(number), 10)
}

// Create implements port.TransientAccounts.
func (t TransientAccounts) Create(ctx context.Context, number uint32, groups []string) (core.Account, error) {
	name, uid := transientName(number), tool.TransientUID(number)
	home := filepath.Join(t.Homes, name)
	fail := func(err error) (core.Account, error) {
		return core.Account{}, fmt.Errorf("account %s: %w", name, err)
	}
	for _, group := range groups {
		if !tool.Name(group) {
			return fail(fmt.Errorf("group %q: not a name: %w", group, core.ErrNoGroup))
		}
	}
	if err := os.MkdirAll(t.Homes, 0o711); err != nil {
		return fail(err)
	}
	if err := os.Chmod(t.Homes, 0o711); err != nil { // whatever the umask has left
		return fail(err)
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return fail(err)
	}
	for _, argv := range tool.CreateAccount(name, uid, home) {
		if err := run(ctx, argv); err != nil {
			return fail(err)
		}
	}
	for _, group := range groups {
		if err := run(ctx, tool.SetMember(group, name, true)); err != nil {
			return fail(err)
		}
	}
	account, err := t.Accounts.ByName(name)
	if err == nil && (account.User != core.UserID(uid) || account.Home != home) {
		err = fmt.Errorf("it is user %s with the home %s, expected %s and %s", account.User, account.Home, uid, home)
	}
	if err != nil {
		return fail(err)
	}
	id, err := strconv.Atoi(uid)
	if err == nil {
		err = os.Lchown(home, id, 20)
	}
	if err != nil {
		return fail(err)
	}
	return account, nil
}

// Remove implements port.TransientAccounts.
func (t TransientAccounts) Remove(ctx context.Context, number uint32) error {
	name := transientName(number)
	answer, err := ask(context.WithoutCancel(ctx), changeTime, tool.EndProcesses(tool.TransientUID(number)), "")
	if err == nil && answer.status > 1 {
		err = fmt.Errorf("pkill ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(t.Homes, name))
	}
	if err == nil {
		answer, err = ask(context.WithoutCancel(ctx), changeTime, tool.DeleteAccount(name), "")
	}
	if err == nil && answer.status != 0 && answer.status != tool.NoRecord {
		err = fmt.Errorf("dscl ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
	}
	if err != nil {
		return fmt.Errorf("account %s: %w", name, err)
	}
	return nil
}

// Used implements port.TransientAccounts.
func (TransientAccounts) Used(number uint32) (bool, error) {
	answer, err := ask(context.Background(), askTime, tool.AskProcesses(tool.TransientUID(number)), "")
	if err == nil && answer.status > 1 {
		err = fmt.Errorf("pgrep ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
	}
	return answer.status == 0, err
}

// Numbers implements port.TransientAccounts.
func (t TransientAccounts) Numbers() ([]uint32, error) {
	answer, err := ask(context.Background(), askTime, tool.AskAccounts(), "")
	if err == nil && answer.status != 0 {
		err = fmt.Errorf("dscl ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
	}
	homes, readErr := os.ReadDir(t.Homes)
	if errors.Is(readErr, fs.ErrNotExist) {
		readErr = nil
	}
	if err := errors.Join(err, readErr); err != nil {
		return nil, fmt.Errorf("transient accounts: %w", err)
	}
	names := strings.Fields(string(answer.output))
	for _, home := range homes {
		names = append(names, home.Name())
	}
	var numbers []uint32
	for _, name := range names {
		text, is := strings.CutPrefix(name, port.TransientPrefix)
		number, err := strconv.ParseUint(text, 10, 32)
		if is && err == nil && transientName(uint32(number)) == name && !slices.Contains(numbers, uint32(number)) {
			numbers = append(numbers, uint32(number))
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

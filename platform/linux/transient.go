//go:build linux

package linux

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
	"syscall"
	"time"

	"kpm/core"
	"kpm/core/port"
)

// TransientAccounts makes accounts by shadow's tools, for the reasons that Membership
// does. They have no password ("!"), nologin(8) as their shell, a group of their own,
// no subordinate ids, and uids that nothing else gives away.
type TransientAccounts struct {
	// Homes is the folder of their homes, which root alone can change. It is made
	// when it is needed.
	Homes    string
	Accounts Accounts
}

var _ port.TransientAccounts = TransientAccounts{}

const (
	useraddPath  = "/usr/sbin/useradd"
	groupaddPath = "/usr/sbin/groupadd"
	userdelPath  = "/usr/sbin/userdel"
	groupdelPath = "/usr/sbin/groupdel"
	killPath     = "/usr/bin/kill"
	nologin      = "/usr/sbin/nologin"

	// Above the ids of confined processes.
	firstTransient = firstConfined + confinedIDs
	transientIDs   = 1 << 20

	// noSuchUser and noSuchGroup are exit statuses (userdel(8), groupdel(8)).
	noSuchUser, noSuchGroup = 6, 6
	// endTries is how often processes of an account are looked for, and endWait how
	// long there is between two.
	endTries = 50
	endWait  = 20 * time.Millisecond
)

func transientName(number uint32) string {
	return port.TransientPrefix + strconv.FormatUint(uint64(number), 10)
}

// transientNumber is the number in the name of a transient account.
func transientNumber(name string) (uint32, bool) {
	text, is := strings.CutPrefix(name, port.TransientPrefix)
	number, err := strconv.ParseUint(text, 10, 32)
	return uint32(number), is && err == nil && transientName(uint32(number)) == name
}

func transientUID(number uint32) uint32 { return firstTransient + number%transientIDs }

// Create implements port.TransientAccounts. The account is there before its home is
// its own, so that no file ever belongs to a number without a name.
func (t TransientAccounts) Create(ctx context.Context, number uint32, groups []string) (core.Account, error) {
	name, uid := transientName(number), transientUID(number)
	fail := func(err error) (core.Account, error) {
		return core.Account{}, fmt.Errorf("account %s: %w", name, err)
	}
	id := strconv.FormatUint(uint64(uid), 10)
	home := filepath.Join(t.Homes, name)
	argv := []string{
		useraddPath, "--system", "--uid", id, "--gid", id, "--home-dir", home, "--no-create-home", "--no-log-init",
		"--shell", nologin, "--comment", "KeeperPrivilegeManager, for one command",
	}
	if len(groups) > 0 {
		for _, group := range groups {
			if _, _, err := (Membership{Accounts: t.Accounts}).listed(group); err != nil {
				return fail(fmt.Errorf("group %q: %w", group, err))
			}
			if _, err := membershipCommand(group, name, true); err != nil {
				return fail(err)
			}
		}
		argv = append(argv, "--groups", strings.Join(groups, ","))
	}
	// What somebody else has left there would be its own: it must be new. It is also
	// how Numbers knows of an account that was made by half.
	if err := os.MkdirAll(t.Homes, 0o711); err != nil {
		return fail(err)
	}
	if err := os.Chmod(t.Homes, 0o711); err != nil { // whatever the umask has left
		return fail(err)
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return fail(err)
	}
	if err := runTool(ctx, []string{groupaddPath, "--gid", id, name}); err != nil {
		return fail(err)
	}
	if err := runTool(ctx, append(argv, name)); err != nil {
		return fail(err)
	}
	if err := os.Lchown(home, int(uid), int(uid)); err != nil {
		return fail(err)
	}
	account, err := t.Accounts.ByName(name)
	if err != nil {
		return fail(err)
	}
	if account.User != core.UserID(id) || account.Home != home {
		return fail(fmt.Errorf("it is user %s with the home %s, expected %s and %s", account.User, account.Home, id, home))
	}
	return account, nil
}

// Remove implements port.TransientAccounts. Processes end first: a number with a
// process is somebody, whatever files say. The home goes last: as long as it is there,
// Numbers has the account.
func (t TransientAccounts) Remove(ctx context.Context, number uint32) error {
	name, uid := transientName(number), transientUID(number)
	home := filepath.Join(t.Homes, name)
	if account, err := t.Accounts.ByName(name); err == nil && (account.User != core.UserID(strconv.FormatUint(uint64(uid), 10)) || account.Home != home) {
		// Attack: somebody makes an account of that name, in the hope that its
		// processes and files go. Or it is that of another agent on this machine.
		return fmt.Errorf("account %s: it is user %s with the home %s, expected %d and %s, so it is not one of ours; remove it by hand", name, account.User, account.Home, uid, home)
	}
	if err := t.end(ctx, uid); err != nil {
		return fmt.Errorf("account %s: %w", name, err)
	}
	var gone *toolError
	if err := runTool(ctx, []string{userdelPath, name}); err != nil && (!errors.As(err, &gone) || gone.status != noSuchUser) {
		return fmt.Errorf("account %s: %w", name, err)
	}
	// userdel takes the group along, unless login.defs says otherwise.
	if err := runTool(ctx, []string{groupdelPath, name}); err != nil && (!errors.As(err, &gone) || gone.status != noSuchGroup) {
		return fmt.Errorf("account %s: %w", name, err)
	}
	if err := os.RemoveAll(home); err != nil {
		return fmt.Errorf("account %s: home: %w", name, err)
	}
	return nil
}

// end kills every process of a uid. kill(2) with -1 as that user reaches all of them
// at once, so that none can start another in the meantime.
func (t TransientAccounts) end(ctx context.Context, uid uint32) error {
	for range endTries {
		if !runsAs(uid) {
			return nil
		}
		var none *toolError // there was nobody left to kill
		if err := runToolAs(ctx, []string{killPath, "-KILL", "--", "-1"}, &syscall.Credential{Uid: uid, Gid: uid}); err != nil && !errors.As(err, &none) {
			return err
		}
		select {
		case <-time.After(endWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("its processes do not end")
}

// runsAs reports whether a process has a uid as one of its own. What has ended and
// was not reaped is none.
func runsAs(uid uint32) bool {
	for _, pid := range allPids() {
		if s, ok := readStat(pid); !ok || s.dead() {
			continue
		}
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if rest, is := strings.CutPrefix(line, "Uid:"); is && slices.Contains(strings.Fields(rest), strconv.FormatUint(uint64(uid), 10)) {
				return true
			}
		}
	}
	return false
}

// Used implements port.TransientAccounts.
func (TransientAccounts) Used(number uint32) (bool, error) { return runsAs(transientUID(number)), nil }

// Numbers implements port.TransientAccounts: of accounts and folders of this agent's.
func (t TransientAccounts) Numbers() ([]uint32, error) {
	found := map[uint32]bool{}
	note := func(name string) {
		if number, is := transientNumber(name); is {
			found[number] = true
		}
	}
	people, err := t.Accounts.passwd.all()
	for _, account := range people {
		if filepath.Dir(account.Home) == filepath.Clean(t.Homes) {
			note(account.Name)
		}
	}
	homes, readErr := os.ReadDir(t.Homes)
	if errors.Is(readErr, fs.ErrNotExist) {
		readErr = nil
	}
	for _, home := range homes {
		note(home.Name())
	}
	if err := errors.Join(err, readErr); err != nil {
		return nil, fmt.Errorf("transient accounts: %w", err)
	}
	var numbers []uint32
	for number := range found {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers, nil
}

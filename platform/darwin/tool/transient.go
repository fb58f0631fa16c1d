package tool

import "strconv"

// firstTransient and transientIDs are the uids of accounts for one command: far from
// those of people, and hidden.
const (
	firstTransient = 2_000_000_000
	transientIDs   = 1 << 20
)

// TransientUID is the uid of the account with a number.
func TransientUID(number uint32) string {
	return strconv.FormatUint(firstTransient+uint64(number%transientIDs), 10)
}

// CreateAccount returns what makes an account that nobody can log in to: no password
// ("*"), no shell, and hidden. The order matters: with the name alone it is nobody's.
func CreateAccount(name, uid, home string) [][]string {
	record := "/Users/" + name
	create := func(attribute string, values ...string) []string {
		return append([]string{Dscl, ".", "-create", record, attribute}, values...)
	}
	return [][]string{
		{Dscl, ".", "-create", record},
		create("UserShell", "/usr/bin/false"),
		create("IsHidden", "1"),
		create("Password", "*"),
		create("AuthenticationAuthority", ";DisabledUser;"),
		create("RealName", "KeeperPrivilegeManager, for one command"),
		create("PrimaryGroupID", "20"),
		create("NFSHomeDirectory", home),
		create("UniqueID", uid),
	}
}

// DeleteAccount returns what removes an account.
func DeleteAccount(name string) []string { return []string{Dscl, ".", "-delete", "/Users/" + name} }

// EndProcesses ends all of a user's (pkill(1)). Its exit status is 1 if there are none.
func EndProcesses(uid string) []string { return []string{"/usr/bin/pkill", "-KILL", "-U", uid} }

// AskProcesses returns what asks for all of a user's (pgrep(1)), with the same status.
func AskProcesses(uid string) []string { return []string{"/usr/bin/pgrep", "-U", uid} }

// AskAccounts returns what asks for the names of all accounts of the machine's own.
func AskAccounts() []string { return []string{Dscl, ".", "-list", "/Users"} }

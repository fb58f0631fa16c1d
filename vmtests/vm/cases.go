package main

// promise is one thing that the agent does on every system, as a person's or an
// administrator's shell tells it.
type promise struct {
	name string
	as   string // alice, whom policy allows everything; bob, whom none names; empty for the administrator
	// sh and powershell do the same thing. One that is empty does not exist there.
	sh, powershell string
	status         int
	says           string // must be in what is printed
}

// policies are in force from allowed on.
const policies = `[
 {"PolicyId": "alice", "PolicyName": "Alice administers", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["alice"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "TargetUserCheck": ["*"]}
]`

// installed holds before there is a policy.
var installed = []promise{
	{name: "the service is healthy", sh: "KeeperAdminCLI status", powershell: `& 'C:\Program Files\KeeperPrivilegeManager\KeeperAdminCLI.exe' status; exit $LASTEXITCODE`},
	{name: "the service starts with the machine", sh: "if command -v systemctl; then systemctl is-enabled keeper-privilege-manager; else launchctl print system/keeper-privilege-manager; fi",
		powershell: `(Get-Service KeeperPrivilegeManager).StartType`},
	{name: "without a policy nobody may do anything", as: "alice", sh: "keepersudo true", powershell: sudo + `whoami.exe; exit $LASTEXITCODE`, status: 1, says: "keepersudo"},
	{name: "PAM has a file for it", sh: "if [ -d /etc/pam.d ] && [ -d /run/systemd ]; then test -s /usr/lib/pam.d/kpm; fi"},
	// Whether a reader is confined, Windows alone can say: it would not start.
	{name: "signatures are read by a process that can open nothing", powershell: `& 'C:\Program Files\KeeperPrivilegeManager\KeeperAdminCLI.exe' trust inspect C:\Windows\System32\cmd.exe; exit $LASTEXITCODE`, says: "format"},
	{name: "uac can be refused to people, and given back", powershell: `$cli = 'C:\Program Files\KeeperPrivilegeManager\KeeperAdminCLI.exe'; $key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
$before = (Get-ItemProperty $key).ConsentPromptBehaviorUser; & $cli interception enable uac; $on = (Get-ItemProperty $key).ConsentPromptBehaviorUser
& $cli interception disable uac; if ($on -ne 0 -or (Get-ItemProperty $key).ConsentPromptBehaviorUser -ne $before) { exit 1 }`, says: "uac is the system's own"},
	{name: "the tools explain themselves", sh: "KeeperAdminCLI --help && keepersudo --help", powershell: sudo + `--help; exit $LASTEXITCODE`, says: "Usage"},
}

// sudo begins a command line of PowerShell's.
const sudo = `& 'C:\Program Files\KeeperPrivilegeManager\keepersudo.exe' `

// allowed holds with the policies.
var allowed = []promise{
	{name: "alice runs a program as the administrator", as: "alice", sh: "keepersudo id -u", powershell: sudo + `whoami.exe /groups; exit $LASTEXITCODE`, says: "0"},
	{name: "bob, whom no policy names, does not", as: "bob", sh: "keepersudo id -u", powershell: sudo + `whoami.exe; exit $LASTEXITCODE`, status: 1},
	{name: "the exit status comes back", as: "alice", sh: "keepersudo sh -c 'exit 7'", powershell: sudo + `cmd.exe /c 'exit 7'; exit $LASTEXITCODE`, status: 7},
	{name: "a signal that ends it comes back", as: "alice", sh: `keepersudo sh -c 'kill -TERM $$'`, status: 143},
	{name: "what it reads and writes passes through", as: "alice", sh: "echo through | keepersudo cat", powershell: `'through' | ` + sudo + `findstr.exe .; exit $LASTEXITCODE`, says: "through"},
	{name: "what it writes to standard error does too", as: "alice", sh: "keepersudo sh -c 'echo wrong >&2' 2>&1 >/dev/null", powershell: sudo + `cmd.exe /c 'echo wrong 1>&2'; exit $LASTEXITCODE`, says: "wrong"},
	{name: "arguments stay apart", as: "alice", sh: `keepersudo printf '<%s>' 'a b' '' '*' "\$HOME"`, says: `<a b><><*><$HOME>`},
	{name: "it runs in the caller's directory", as: "alice", sh: "cd /usr && keepersudo pwd", powershell: `Set-Location C:\Windows; ` + sudo + `cmd.exe /c cd; exit $LASTEXITCODE`},
	{name: "it is told who asked", as: "alice", sh: `keepersudo sh -c 'echo $SUDO_USER.'`, says: "alice."},
	{name: "nobody's environment steers it", as: "alice", sh: `LD_PRELOAD=/tmp/none.so keepersudo sh -c 'echo "preload=$LD_PRELOAD."'`, says: "preload=."},
	{name: "another user can be the target", as: "alice", sh: "cd / && keepersudo -u bob id -un", powershell: sudo + `-u bob whoami.exe; exit $LASTEXITCODE`, says: "bob"},
	{name: "it has a terminal of its own", as: "alice", sh: "command -v script >/dev/null && script -qec 'keepersudo tty' /dev/null", says: "/dev/"},
	{name: "a program that does not exist is said to", as: "alice", sh: "keepersudo /no/such/program", powershell: sudo + `C:\no\such\program.exe; exit $LASTEXITCODE`, status: 127, says: "program"},
	{name: "a command outlives an orderly restart", as: "", sh: outlives("systemctl restart keeper-privilege-manager"), says: "ended 9"},
	{name: "a command outlives a service that is killed", as: "", sh: outlives(`kill -KILL "$(systemctl show -P MainPID keeper-privilege-manager)"`), says: "ended 9"},
	{name: "short of memory, the service is spared", sh: "test ! -d /run/systemd || test \"$(cat /proc/$(systemctl show -P MainPID keeper-privilege-manager)/oom_score_adj)\" = -900"},
	{name: "and its commands are not", as: "alice", sh: "test ! -d /run/systemd || test \"$(keepersudo cat /proc/self/oom_score_adj)\" = \"$(cat /proc/1/oom_score_adj)\""},
	{name: "many at once", as: "alice", sh: `for i in 1 2 3 4 5 6 7 8; do keepersudo sh -c "exit $i" & p="$p $!"; done; for q in $p; do wait $q; printf '%s.' $?; done`, says: "1.2.3.4.5.6.7.8."},
	{name: "the journal is unbroken", sh: "KeeperAdminCLI audit verify", powershell: `& 'C:\Program Files\KeeperPrivilegeManager\KeeperAdminCLI.exe' audit verify; exit $LASTEXITCODE`},
	{name: "the service is healthy after it all", sh: "KeeperAdminCLI status", powershell: `& 'C:\Program Files\KeeperPrivilegeManager\KeeperAdminCLI.exe' status; exit $LASTEXITCODE`},
}

// outlives has alice run a command, does something to the service, and says how
// the command ended.
func outlives(event string) string {
	return `cd / && rm -f /tmp/kpm-begun /tmp/kpm-go
runuser -u alice -- keepersudo sh -c 'touch /tmp/kpm-begun; while [ ! -e /tmp/kpm-go ]; do sleep 0.1; done; exit 9' </dev/null & p=$!
until [ -e /tmp/kpm-begun ]; do kill -0 $p || exit 1; sleep 0.1; done
` + event + `
until KeeperAdminCLI status >/dev/null 2>&1; do sleep 0.2; done
touch /tmp/kpm-go
wait $p
echo "ended $?"`
}

package main

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// system is one operating system of the suite, its machine in the folder of its
// name. Scripts are of the system's own shell, and run as its administrator.
type system struct {
	goos    string
	debian  string // the release, where the suite makes the box
	pattern string // of the package to install, in the directory of packages
	reach   func(context.Context, *machine) (guest, error)

	upload string // where the package is put
	tests  string // where the conformance suite is put
	// conformance runs that suite.
	conformance string
	// people makes alice and bob, who are not administrators.
	people string
	// install installs the package, whose service then runs.
	install string
	// allow puts policies.json, which is in the folder named, into force.
	policies, reload string
	// remove removes the package with all that it has written.
	remove string
	// as has a person run the script of a case, with nothing to read.
	as func(person string) string
	// script is that of a case.
	script func(c promise) string
}

func (s system) target() string { return s.goos + "-amd64" }

func (s system) suffix() string {
	if s.goos == "windows" {
		return ".exe"
	}
	return ""
}

// names are those of all systems.
func names() string { return strings.Join(slices.Sorted(maps.Keys(systems)), ", ") }

var systems = map[string]system{
	"debian12":   debian("bookworm"),
	"debian13":   debian("trixie"),
	"ubuntu2404": debian(""),
	"rocky9": linux("*.rpm", "rpm -i /root/package", `rpm -e keeper-privilege-manager
rm -rf /opt/KeeperPrivilegeManager`),
	"windows11":  windows,
	"server2022": windows,
	"macos":      macos,
}

func debian(release string) system {
	s := linux("*.deb", "dpkg -i /root/package", "dpkg --purge keeper-privilege-manager")
	s.debian = release
	return s
}

func linux(pattern, install, remove string) system {
	const root = "/opt/KeeperPrivilegeManager"
	return system{
		goos: "linux", pattern: pattern, reach: reachSSH, upload: "/root/package", tests: "/root/conformance",
		// As a service, since the suite is to be in nobody's session.
		conformance: `install -m 0755 /root/conformance /usr/local/bin/kpm-conformance
systemd-run --quiet --wait --pipe --collect --setenv=KPM_CONFORMANCE_HELPER=` + root + `/keeperlaunch --setenv=KPM_CONFORMANCE_LAUNCHES=100 \
  /usr/local/bin/kpm-conformance -test.v -test.run '^TestConformance'`,
		people:   "useradd -m -s /bin/bash alice\nuseradd -m -s /bin/bash bob",
		install:  "export DEBIAN_FRONTEND=noninteractive\n" + install,
		policies: root + "/Policies/vmtest.json",
		reload:   "systemctl reload keeper-privilege-manager",
		remove: remove + `
! systemctl is-active keeper-privilege-manager
! pgrep -f ` + root + `
! test -e ` + root,
		as: func(person string) string {
			return "runuser -u " + person + " -- env -C /home/" + person + " HOME=/home/" + person + " USER=" + person +
				" PATH=/usr/local/bin:/usr/bin:/bin sh /tmp/kpm-case </dev/null"
		},
		script: func(c promise) string { return c.sh },
	}
}

// macos has an archive with a script that installs it.
var macos = system{
	goos: "darwin", pattern: "*.tar.gz", reach: reachSSH, upload: "/var/root/package", tests: "/var/root/conformance",
	conformance: `cp /var/root/conformance /usr/local/bin/kpm-conformance
chmod 0755 /usr/local/bin/kpm-conformance
cd /tmp && env KPM_CONFORMANCE_HELPER=/usr/local/KeeperPrivilegeManager/keeperlaunch KPM_CONFORMANCE_LAUNCHES=100 /usr/local/bin/kpm-conformance -test.v -test.run '^TestConformance'`,
	people: `sysadminctl -addUser alice -password kpm-Alice-1
sysadminctl -addUser bob -password kpm-Bob-1`,
	install:  "mkdir -p /var/root/kpm\ntar -xzf /var/root/package -C /var/root/kpm --strip-components 1\n/var/root/kpm/install.sh",
	policies: "/usr/local/KeeperPrivilegeManager/Policies/vmtest.json",
	reload:   "launchctl kill HUP system/keeper-privilege-manager",
	remove:   "/var/root/kpm/install.sh --purge\n! test -e /usr/local/KeeperPrivilegeManager",
	as: func(person string) string {
		return "cd /Users/" + person + " && sudo -u " + person + " env HOME=/Users/" + person + " PATH=/usr/local/bin:/usr/bin:/bin sh /tmp/kpm-case </dev/null"
	},
	script: func(c promise) string { return c.sh },
}

var windows = system{
	goos: "windows", pattern: "*.msi", reach: reachWinRM, upload: `C:\package.msi`, tests: `C:\conformance.exe`,
	conformance: `& C:\conformance.exe -test.v -test.run '^Test(Conformance|Alarms|AnAlarm|Authenticator|Clock|Ancestors|WordsOf)'
exit $LASTEXITCODE`,
	people: `foreach ($name in 'alice', 'bob') {
  net user $name kpm-Test-1 /add
  if ($LASTEXITCODE -ne 0) { exit 1 }
}`,
	install: `$p = Start-Process msiexec.exe -ArgumentList '/i', 'C:\package.msi', '/qn', '/norestart' -Wait -PassThru
if ($p.ExitCode -ne 0) { exit $p.ExitCode }
(Get-Service KeeperPrivilegeManager).WaitForStatus('Running', '00:01:00')`,
	policies: `C:\Program Files\KeeperPrivilegeManager\Policies\vmtest.json`,
	reload:   `Restart-Service KeeperPrivilegeManager`,
	remove: `$p = Start-Process msiexec.exe -ArgumentList '/x', 'C:\package.msi', '/qn', '/norestart' -Wait -PassThru
if ($p.ExitCode -ne 0) { exit $p.ExitCode }
if (Get-Service KeeperPrivilegeManager -ErrorAction SilentlyContinue) { exit 1 }`,
	as: func(person string) string {
		return `$secret = ConvertTo-SecureString 'kpm-Test-1' -AsPlainText -Force
$who = New-Object Management.Automation.PSCredential('` + person + `', $secret)
$p = Start-Process powershell.exe -Credential $who -WorkingDirectory C:\Users\Public -Wait -PassThru ` + "`" + `
  -ArgumentList '-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', 'C:\Users\Public\kpm-case.ps1' ` + "`" + `
  -RedirectStandardOutput C:\Users\Public\kpm-out.txt -RedirectStandardError C:\Users\Public\kpm-err.txt
Get-Content C:\Users\Public\kpm-out.txt, C:\Users\Public\kpm-err.txt
exit $p.ExitCode`
	},
	script: func(c promise) string { return c.powershell },
}

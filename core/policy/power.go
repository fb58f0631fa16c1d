package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// powers says, for programs that people grant without thinking of it, how each
// gives all rights of the user that it runs as to whoever chooses its arguments.
// It is what an author is warned of, and protects nobody: there are many more.
func powers() []struct{ how, names string } {
	return []struct{ how, names string }{
		{"it starts units that anybody can write", "systemctl systemd-run service at crontab"},
		{"it runs whatever it is told", "sh bash dash zsh fish ksh mksh csh tcsh busybox env nice ionice nohup timeout setsid stdbuf time xargs parallel watch script strace ltrace gdb " +
			"su sudo doas runuser chroot unshare nsenter setpriv pkexec flock expect make cmake ninja find awk gawk mawk nawk sed ed perl python python2 python3 ruby lua node nodejs php tclsh pwsh java"},
		{"it opens a shell from within", "vi vim vim.basic vim.tiny nvim view nano emacs less more most man journalctl mysql psql sqlite3 ftp sftp ssh screen tmux top htop"},
		{"it writes any file", "cp mv ln install dd tee tar rsync unzip zip cpio curl wget patch sort uniq split scp truncate chmod chown chgrp chattr setfacl setcap ssh-keygen openssl"},
		{"it installs packages, whose scripts run", "apt apt-get aptitude dpkg rpm dnf yum zypper pacman snap flatpak pip pip3 npm gem cargo go"},
		{"it reaches the machine's files and devices from within", "docker podman nerdctl ctr lxc lxd virsh qemu-system-x86_64 kubectl mount losetup"},
		{"it changes who is who", "useradd usermod userdel groupadd groupmod gpasswd passwd chpasswd vipw visudo chsh"},
		{"it loads code into the kernel", "insmod modprobe kmod bpftool bpftrace"},
	}
}

// power warns of a grant that leaves the arguments of such a program free. entry
// is that of AllowCommands, empty for one of ApplicationCheck.
func (v *review) power(prog *program, entry string) {
	const remedy = "name the whole command in Extension.AllowCommands of a CommandLine policy: "
	if prog.kind == byAnything {
		v.say(Note, "every program with any arguments", "the commands that are meant", "it gives all rights of the target user to whoever the policy is for")
		return
	}
	if prog.kind != byPath && prog.kind != byName {
		return
	}
	_, base := splitPath(prog.text)
	for _, power := range powers() {
		if !slices.Contains(strings.Fields(power.names), base) {
			continue
		}
		found := fault.Text(base) + " with any arguments"
		if entry != "" {
			found = fault.Text(entry) + ", with any arguments"
		}
		v.say(Note, found, "the arguments that are meant", remedy+power.how+", so the grant gives all rights of the target user")
		return
	}
}

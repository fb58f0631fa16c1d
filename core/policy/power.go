package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// power is a group of programs that people grant without thinking of it, and that
// give all rights of the user that they run as to whoever chooses their arguments.
type power struct {
	how, names string
	// source is where that is described.
	source string
	// whatever is set for programs that do so with any arguments: a key is enough.
	whatever bool
}

// powers is what an author is warned of, and protects nobody: there are many more.
func powers() []power {
	const escapes, list = `sudoers(5), "Preventing shell escapes"`, "gtfobins.github.io"
	return []power{
		{"it starts units that anybody can write", "systemctl systemd-run service at batch crontab machinectl", "systemctl(1), crontab(1), at(1), machinectl(1)", false},
		{"it runs whatever it is told", "sh bash dash zsh fish ksh mksh csh tcsh busybox env nice ionice nohup timeout setsid stdbuf time xargs parallel watch script strace ltrace gdb " +
			"su sudo doas runuser chroot unshare nsenter setpriv pkexec flock expect make cmake ninja find awk gawk mawk nawk sed ed perl python python2 python3 ruby lua node nodejs php tclsh pwsh java git tcpdump ip " +
			"nmap socat nc ncat irb run-parts start-stop-daemon taskset capsh logsave rlwrap valgrind perf gcc cc svn hg ansible-playbook", list, false},
		{"it opens a shell from within", "vi vim vim.basic vim.tiny nvim view ex rvim rview nano pico joe mc emacs pg info mutt mail debugfs less more most man ftp sftp screen tmux top htop", escapes, true},
		{"it opens a shell from within", "journalctl mysql psql sqlite3 ssh", list, false},
		{"it writes any file", "cp mv ln install dd tee tar rsync unzip zip cpio curl wget patch sort uniq split scp truncate chmod chown chgrp chattr setfacl setcap ssh-keygen openssl keeperedit", list, false},
		{"it installs packages, whose scripts run", "apt apt-get aptitude dpkg rpm dnf yum zypper pacman snap flatpak pip pip3 npm gem cargo go", "deb-postinst(5), rpm-scriptlets(7)", false},
		{"it reaches the machine's files and devices from within", "docker podman nerdctl ctr lxc lxd virsh qemu-system-x86_64 kubectl mount losetup", "docs.docker.com/engine/security, mount(8)", false},
		{"it changes who is who", "useradd usermod userdel groupadd groupmod gpasswd passwd chpasswd vipw visudo chsh", "passwd(5), sudoers(5)", false},
		{"it loads code into the kernel", "insmod modprobe kmod bpftool bpftrace", "init_module(2), bpf(2)", false},
	}
}

// hooks are options by which programs run what they are told, also in a command
// whose words are fixed: names of programs, and their options.
func hooks() []struct{ names, options string } {
	return []struct{ names, options string }{
		{"find", "-exec -execdir -ok -okdir -fprintf -fprint -fls -delete"},
		{"tar", "--checkpoint-action --use-compress-program -I --to-command --rsh-command"},
		{"rsync", "-e --rsh"},
		{"apt apt-get aptitude", "-o --option -c --config-file"},
		{"dpkg", "--pre-invoke --post-invoke --status-logger"},
		{"rpm", "-E --eval --define"},
		{"git", "-c --exec-path -p --paginate"},
		{"zip", "-T -TT --unzip-command"},
		{"tcpdump", "-z"},
		{"man", "-P -H"},
		{"ssh scp sftp", "-o -F"},
		{"journalctl", "--pager-end"},
		{"env", "-S --split-string"},
		{"systemctl", "edit --edit"},
		{"ip", "exec"},
		{"openssl", "-engine -provider-path"},
		{"docker podman", "run exec cp"},
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
	p, base := powerOf(prog, v.directories)
	if p == nil {
		return
	}
	found := fault.Text(base) + " with any arguments"
	if prog.kind == byPattern || prog.kind == byNamePattern {
		found = "programs such as " + found
	}
	if entry != "" {
		found = fault.Text(entry) + ", with any arguments"
	}
	v.say(Note, found, "the arguments that are meant", remedy+p.how+", so the grant gives all rights of the target user ("+p.source+")")
}

// escape warns of a command that gives more than its fixed words look like.
func (v *review) escape(prog *program, entry string) {
	p, base := powerOf(prog, v.directories)
	if p != nil && p.whatever {
		v.say(Note, fault.Text(entry), "a program that only does what is meant", p.how+", whatever its arguments, so the grant gives all rights of the target user ("+p.source+")")
		return
	}
	for _, hook := range hooks() {
		if base == "" || !slices.Contains(strings.Fields(hook.names), base) {
			continue
		}
		for _, word := range strings.Fields(entry)[1:] {
			option, _, _ := strings.Cut(word, "=")
			if slices.Contains(strings.Fields(hook.options), option) {
				v.say(Note, fault.Text(entry), "a command without "+option, "by that option it runs, or writes, what it is told, so what follows it decides what is granted (gtfobins.github.io)")
				return
			}
		}
	}
	v.runs(base, entry)
}

// powerOf is what a program can do, nil if it is none of the list. directories are
// where programs lie, for patterns that several of the list may meet.
func powerOf(prog *program, directories []string) (*power, string) {
	switch prog.kind {
	case byPath, byName:
		_, base := splitPath(prog.text)
		return powerNamed(base), base
	case byPattern, byNamePattern:
		for _, p := range powers() {
			for _, name := range strings.Fields(p.names) {
				if prog.meetsName(name, directories) {
					return &p, name
				}
			}
		}
		// Of python3.* what is before the "*" is a name of the list with a version.
		if dir, base := splitPath(prog.glob.prefix); prog.kind == byNamePattern || slices.Contains(directories, dir) {
			return powerNamed(base), base
		}
	}
	return nil, ""
}

// meetsName reports whether a pattern can meet a program of that name on the
// secure path.
func (p *program) meetsName(name string, directories []string) bool {
	if p.kind == byNamePattern {
		return p.glob.match(name)
	}
	return slices.ContainsFunc(directories, func(dir string) bool { return p.glob.match(dir + "/" + name) })
}

// powerNamed finds a program by its name: python3.11 is python, and vim.nox is vim.
func powerNamed(base string) *power {
	family, flavour, _ := strings.Cut(base, ".")
	if base == "" || !strings.Contains(" basic gtk gtk3 motif nox openbsd tiny traditional ", " "+flavour+" ") {
		family = strings.TrimRight(base, "0123456789.-")
	}
	for _, p := range powers() {
		if names := strings.Fields(p.names); slices.Contains(names, base) || slices.Contains(names, family) {
			return &p
		}
	}
	return nil
}

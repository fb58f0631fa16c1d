package task

// interpreters are the programs whose arguments can be scripts, by their names
// without version and suffix.
func interpreters() map[string]finder {
	table := map[string]finder{
		"cmd": commandPrompt, "powershell": powerShell(true), "pwsh": powerShell(false),
		"fish": options{short: "cC", long: []string{"command", "init-command"}, values: "dof", operand: -1}.find,
		"perl": options{short: "eEMm", own: "iFxDCV0", values: "I", operand: -1}.find,
		"ruby": options{short: "e", own: "iFxTKW0", values: "rICE", operand: -1}.find,
		"php": options{short: "rBRE", long: []string{"run", "process-begin", "process-code", "process-end"},
			file: "fF", fileLong: []string{"file", "process-file"}, values: "cdtSz", operand: -1}.find,
		"lua": options{short: "e", values: "l", operand: -1}.find, "luajit": options{short: "e", own: "jO", values: "l", operand: -1}.find,
		"julia":     options{short: "eE", long: []string{"eval", "print"}, values: "JLpt", operand: -1}.find,
		"rscript":   options{short: "e", operand: -1}.find,
		"r":         options{short: "e", file: "f", mixed: true, operand: -1}.find,
		"osascript": options{short: "e", values: "ls", operand: -1}.find,
		"groovy":    options{short: "e", values: "cDi", operand: -1}.find,
		"elixir":    options{short: "e", long: []string{"eval", "rpc-eval"}, values: "rS", operand: -1}.find,
		"erl":       options{exact: []string{"-eval"}, mixed: true, operand: -1}.find,
		"expect":    options{short: "c", file: "f", operand: -1}.find,
		"sed":       options{short: "e", long: []string{"expression"}, file: "f", fileLong: []string{"file"}, values: "l", own: "i"}.find,
		"eval":      options{all: true}.find, // deno eval, sh's own
		// What runs a shell for a text.
		"env":      options{short: "S", long: []string{"split-string"}, values: "uC", valuesLong: []string{"unset", "chdir"}, all: true, operand: -1}.find,
		"su":       options{short: "c", long: []string{"command", "session-command"}, values: "sgGwT", mixed: true, operand: -1}.find,
		"runuser":  options{short: "c", long: []string{"command", "session-command"}, values: "sugGwT", mixed: true, operand: -1}.find,
		"sg":       options{short: "c", mixed: true, operand: -1}.find,
		"flock":    options{short: "c", long: []string{"command"}, values: "wE", mixed: true, operand: -1}.find,
		"script":   options{short: "c", long: []string{"command"}, values: "EoIOBmT", mixed: true, operand: -1}.find,
		"watch":    options{values: "n", valuesLong: []string{"interval"}, all: true}.find,
		"parallel": options{all: true}.find,
		"tmux":     options{all: true}.find,
		"ssh":      options{values: "bcDEeFIiJLlmOopQRSWw", operand: 1, all: true}.find,
		"tar": options{long: []string{"to-command", "checkpoint-action", "use-compress-program", "info-script", "new-volume-script", "rmt-command", "rsh-command"},
			exact: []string{"-I", "-F"}, mixed: true, operand: -1}.find,
		"rsync": options{short: "e", long: []string{"rsh", "rsync-path"}, mixed: true, operand: -1}.find,
		"git":   options{short: "c", long: []string{"config-env", "upload-pack", "receive-pack", "exec"}, mixed: true, operand: -1}.find,
		"zip":   options{exact: []string{"-TT"}, long: []string{"unzip-command"}, mixed: true, operand: -1}.find,
		// Other languages in which a program can be started.
		"gnuplot": options{short: "e", mixed: true, operand: -1}.find, "octave": options{long: []string{"eval"}, mixed: true, operand: -1}.find, "dc": options{short: "e", mixed: true, operand: -1}.find,
		"gdb": options{exact: []string{"-ex", "--ex", "-iex", "--iex", "-eval-command", "--eval-command", "-init-eval-command", "--init-eval-command"}, mixed: true, operand: -1}.find,
		"vi":  options{short: "c", long: []string{"cmd"}, mixed: true, operand: -1}.find, "vim": options{short: "c", long: []string{"cmd"}, mixed: true, operand: -1}.find,
		"ex": options{short: "c", mixed: true, operand: -1}.find, "emacs": options{long: []string{"eval", "execute"}, mixed: true, operand: -1}.find,
		"make":    options{long: []string{"eval"}, mixed: true, operand: -1}.find,
		"psql":    options{short: "c", long: []string{"command"}, values: "dfhLopRTUvFPE", mixed: true, operand: -1}.find,
		"mysql":   options{short: "e", long: []string{"execute", "init-command"}, values: "hDuPS", own: "p", mixed: true, operand: -1}.find,
		"mariadb": options{short: "e", long: []string{"execute", "init-command"}, values: "hDuPS", own: "p", mixed: true, operand: -1}.find,
		"sqlite":  options{exact: []string{"-cmd", "--cmd"}, operand: 1, all: true}.find,
	}
	for _, name := range []string{"sh", "bash", "dash", "ash", "ksh", "mksh", "lksh", "oksh", "pdksh", "zsh", "rbash", "rksh", "posh", "yash", "hush", "csh", "tcsh", "nu", "xonsh", "elvish"} {
		table[name] = shell
	}
	python := options{short: "c", values: "WX", ends: "m", operand: -1}.find
	for _, name := range []string{"python", "pypy", "ipython", "micropython", "jython"} {
		table[name] = python
	}
	node := options{short: "ep", long: []string{"eval", "print"}, exact: []string{"-pe"}, values: "rC", valuesLong: []string{"require", "import", "loader", "experimental-loader", "conditions", "env-file"}, operand: -1}.find
	for _, name := range []string{"node", "nodejs", "bun", "ts-node", "tsx", "qjs"} {
		table[name] = node
	}
	awk := options{short: "e", long: []string{"source"}, file: "f", fileLong: []string{"file", "exec"}, values: "Fvil", valuesLong: []string{"field-separator", "assign", "include", "load"}}.find
	for _, name := range []string{"awk", "gawk", "mawk", "nawk", "original-awk"} {
		table[name] = awk
	}
	return table
}

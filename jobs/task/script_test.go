package task

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/settings"
)

// inLine compiles a task from a command line in which {X} is a token.
func inLine(t *testing.T, layout settings.Layout, line string) []string {
	t.Helper()
	command, arguments, _ := strings.Cut(line, " ")
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(arguments)
	s := sourceOf(t, "tasks[0]", `{"command": "`+command+`", "arguments": "`+quoted+`"}`)
	(&programs{layout: layout, platform: core.Linux}).compile(s, core.AsService)
	var faults []string
	for _, f := range s.Faults() {
		faults = append(faults, f.Error())
	}
	return faults
}

// Attack: what a caller named its file is run as part of a script.
func TestATokenInAScriptIsRefused(t *testing.T) {
	layout := settings.At(t.TempDir(), "")
	link := layout.JobBin("mytool", "")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/sh", link); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`sh -c "echo '{X}'"`, `sh -c {X}`, `sh -ec 'echo {X}'`, `sh -ce 'echo {X}'`, `bash -lc 'echo {X}'`, `bash -o pipefail -c 'echo {X}'`, `bash -c -o pipefail 'echo {X}'`,
		`bash -euo pipefail -c 'echo {X}'`, `bash --norc -c 'echo {X}'`, `bash --rcfile /x -c 'echo {X}'`, `sh -c -e 'echo {X}'`, `dash -c 'echo {X}'`, `zsh -c 'echo {X}'`, `ksh93 -c 'echo {X}'`,
		`fish -c 'echo {X}'`, `fish --command='echo {X}'`, `fish -C 'echo {X}' x`, `csh -c 'echo {X}'`, `mytool -c 'echo {X}'`,
		`busybox sh -c 'echo {X}'`, `busybox ash -c 'echo {X}'`, `busybox awk '/{X}/'`,
		`env sh -c 'echo {X}'`, `env -S 'sh -c "echo {X}"'`, `env -Ssh -c {X}`, `env --split-string='x {X}'`, `env -S 'sh -c' '{X}'`, `env -i A=b /bin/sh -c 'echo {X}'`,
		`timeout 5 sh -c 'echo {X}'`, `nice -n 5 sh -c 'echo {X}'`, `setsid -f bash -c 'echo {X}'`, `xargs -I% sh -c 'echo {X}'`, `find / -exec sh -c 'echo {X}' ;`,
		`nsenter -t 1 -m sh -c 'echo {X}'`, `chroot /x sh -c 'echo {X}'`, `systemd-run sh -c 'echo {X}'`, `docker exec c sh -c 'echo {X}'`,
		`su -c 'echo {X}'`, `su - daemon -c 'echo {X}'`, `su daemon --command='echo {X}'`, `runuser -u daemon -c 'echo {X}'`, `flock /l -c 'echo {X}'`, `script -qc 'echo {X}' /dev/null`,
		`watch -n 2 'echo {X}'`, `watch echo {X}`, `parallel 'echo {X}'`, `tmux new -d 'echo {X}'`, `ssh host 'echo {X}'`, `ssh -p 22 host echo {X}`,
		`python -c 'print("{X}")'`, `python3 -c 'print("{X}")'`, `python3.11 -Ic 'print("{X}")'`, `python3 -W ignore -c 'print("{X}")'`, `python3 -c'print("{X}")'`, `pypy3 -c '{X}'`,
		`perl -e 'print "{X}"'`, `perl -E 'say "{X}"'`, `perl -ne 'print "{X}"'`, `perl -lane 'print "{X}"'`, `perl -e'print "{X}"'`, `perl -MFoo={X} s.pl`, `perl -w -e 1 -e '{X}'`,
		`ruby -e 'puts "{X}"'`, `ruby -rjson -ne '{X}'`, `node -e 'x("{X}")'`, `node --eval 'x("{X}")'`, `node --eval=x("{X}")`, `node -pe '{X}'`, `node -p '{X}'`, `node --print '{X}'`, `nodejs -e '{X}'`,
		`bun -e '{X}'`, `deno eval 'x("{X}")'`, `php -r 'echo "{X}";'`, `php8.2 -r '{X}'`, `php -B '{X}'`, `lua5.4 -e 'print("{X}")'`, `Rscript -e '{X}'`, `julia -e '{X}'`, `osascript -e '{X}'`, `expect -c '{X}'`,
		`awk '/{X}/'`, `awk -F : '/{X}/ {print $1}' /etc/passwd`, `awk -v a=b '{X}'`, `gawk -e '{X}'`, `gawk --source='{X}'`, `mawk -- '/{X}/'`, `sed 's/a/{X}/'`, `sed -n 's/a/{X}/p' f`, `sed -e 's/a/{X}/'`, `sed -ne 's/a/{X}/p'`, `sed --expression='s/a/{X}/'`, `sed --expr='s/a/{X}/'`,
		`cmd /c 'echo {X}'`, `cmd.exe /c echo {X}`, `CMD /S /C "echo {X}"`, `cmd /d/s/c echo {X}`, `cmd /k {X}`, `cmd /cecho {X}`,
		`pwsh -Command 'echo {X}'`, `pwsh -c 'echo {X}'`, `pwsh -NoProfile -Comm echo {X}`, `pwsh -EncodedCommand {X}`, `pwsh -ec {X}`, `pwsh -e {X}`, `pwsh /c {X}`, `pwsh -ExecutionPolicy Bypass -Command {X}`,
		`powershell 'echo {X}'`, `powershell.exe -NoProfile 'echo {X}'`, `powershell -ep Bypass -c 'echo {X}'`,
		`psql -c 'select {X}'`, `mysql -e 'select {X}'`, `sqlite3 db 'select {X}'`, `gdb -ex 'shell {X}'`, `vim -c '!{X}'`, `tar --to-command='{X}' -xf a`, `tar -xf a --to-command='sh {X}'`, `rsync -e '{X}' a b`, `make --eval='{X}'`,
		`git -c core.pager='{X}' log`, `git clone --upload-pack='{X}' a`, `zip -T -TT '{X}' a b`, `gnuplot -e '{X}'`, `octave --eval '{X}'`, `dc -e '{X}'`,
	} {
		faults := inLine(t, layout, line)
		if len(faults) != 1 || !strings.Contains(faults[0], "tasks[0].arguments is ") || !strings.Contains(faults[0], "KEEPER_CTX_X") {
			t.Errorf("%s: %q", line, faults)
		}
	}
}

// Values that go by argument or in the environment, and everything that is no
// script, are as they were.
func TestTokensBesideScripts(t *testing.T) {
	layout := settings.At(t.TempDir(), "")
	for _, line := range []string{
		`mytool {X}`, `mytool -c {X}`, `mytool -e {X} --eval={X} /c {X}`, `sh script.sh {X}`, `sh -e script.sh -c {X}`, `sh -c 'echo "$1"' sh {X}`, `bash -ec 'echo "$1"' sh {X} {X}`,
		`sh {X}`, `bash -c 'echo "$KEEPER_CTX_X"'`, `fish -c 'echo $argv' {X}`, `env A={X} mytool`, `env mytool {X}`, `timeout 5 mytool {X}`, `timeout 5 sh -c 'echo "$1"' sh {X}`, `busybox cat {X}`,
		`python3 tool.py -c {X}`, `python3 -m tool -c {X}`, `python3 -c 'import sys; print(sys.argv)' {X}`, `perl tool.pl -e {X}`, `perl -e 'print @ARGV' {X}`, `perl -i.bak -pe 's/a/b/' {X}`,
		`ruby tool.rb -e {X}`, `node tool.js -e {X}`, `node -r x tool.js --eval {X}`, `node -e 'f(process.argv)' {X}`, `php tool.php -r {X}`, `php -f tool.php {X}`,
		`awk -v f={X} '{print f, $1}' /etc/passwd`, `awk -f prog.awk {X}`, `awk '{print $1}' {X}`, `sed -n 1p {X}`, `sed -f prog.sed {X}`, `sed -i.bak s/a/b/ {X}`, `sed -e 1d {X}`,
		`pwsh -File tool.ps1 {X}`, `pwsh -ExecutionPolicy Bypass -File tool.ps1 -Path {X}`, `powershell -NoProfile -ep Bypass -f tool.ps1 {X}`, `pwsh tool.ps1 -c {X}`, `cmd tool.cmd`,
		`su daemon`, `ssh {X} uptime`, `ssh -i key -l {X} host uptime`, `tar -cf {X} /srv`, `git -C {X} log`, `git commit -m {X}`, `zip -r {X} /srv`, `psql -d {X} -f q.sql`, `RedirectEvaluator --file={X} --command-line={X}`, `grep -e {X} file`, `find {X} -name c`,
	} {
		if faults := inLine(t, layout, line); len(faults) != 0 {
			t.Errorf("%s: %q", line, faults)
		}
	}
}

func TestContextVariable(t *testing.T) {
	for name, want := range map[string]string{"FilePath": "KEEPER_CTX_FILEPATH", "a.b-c_d": "KEEPER_CTX_A_B_C_D", "ä": "KEEPER_CTX__", "": "KEEPER_CTX_"} {
		if got := ContextVariable(name); got != want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

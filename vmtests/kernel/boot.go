//go:build linux

package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// deadline is how long a machine may take from power on to power off. It takes
// a quarter of a minute where nothing else runs.
const deadline = 6 * time.Minute

// ClockMaySet is the option of the kernel by which a test knows that it runs in this
// machine and in no other, where it may set the clock. The kernel passes it over.
const ClockMaySet = "kpm.clock=set"

// options of the kernel. IMA refuses what its policy names; there is none
// before the guest loads one.
const options = "console=ttyS0 quiet panic=-1 mitigations=off ima_appraise=enforce " + ClockMaySet

// Run boots the kernel of Kernel in dir, an empty directory of the caller's,
// with disk, an ext4 image, and lets guest, a static program, do plan. programs
// are further files of the first file system, name by path on this machine.
func Run(ctx context.Context, kernel, dir, guest, disk string, plan Plan, programs map[string]string) ([]Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	first := filepath.Join(dir, "first.cpio")
	if err := firstFileSystem(first, kernel, guest, plan, programs); err != nil {
		return nil, fmt.Errorf("kernel: first file system: %w", err)
	}
	socket, state := filepath.Join(dir, "tpm.sock"), filepath.Join(dir, "tpm")
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	tpm := start(ctx, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--ctrl", "type=unixio,path="+socket, "--terminate")
	defer tpm.stop()
	if err := tpm.until(socket); err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	console, told := filepath.Join(dir, "console"), filepath.Join(dir, "told")
	machine := start(ctx, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-display", "none", "-nodefaults", "-no-reboot", "-serial", "file:"+console, "-serial", "file:"+told,
		"-kernel", filepath.Join(kernel, image), "-initrd", first, "-append", options,
		"-drive", "file="+disk+",if=none,id=disk,format=raw,cache=unsafe", "-device", "nvme,drive=disk,serial=kpm",
		"-chardev", "socket,id=tpm,path="+socket, "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0")
	defer machine.stop()
	err := machine.wait()
	findings, unread := read(told)
	if err = errors.Join(err, unread); err != nil {
		shown, _ := os.ReadFile(console)
		return findings, fmt.Errorf("kernel: %w\n%s", err, tail(shown))
	}
	return findings, nil
}

// firstFileSystem writes what the kernel starts with: guest, as its first
// process, the plan, the modules and the programs.
func firstFileSystem(path, kernel, guest string, plan Plan, programs map[string]string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	a := &archive{w: f}
	for _, d := range []string{"dev", "proc", "sys", "tmp", "disk"} {
		a.add(d, modeDirectory, nil, 0, 0)
	}
	a.add("dev/console", modeCharacter, nil, 5, 1) // descriptors 0 to 2 of the first process
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	a.add("plan.json", modeFile, text, 0, 0)
	from := map[string]string{"init": guest}
	for _, m := range modules {
		from[m] = filepath.Join(kernel, m)
	}
	for name, path := range programs {
		from[name] = path
	}
	for name, path := range from {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		a.add(name, modeFile, data, 0, 0)
	}
	return errors.Join(a.close(), f.Close())
}

// read returns what the guest told, to the end.
func read(path string) ([]Finding, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Finding
	for line := range strings.Lines(string(text)) {
		var f Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			return all, fmt.Errorf("the machine said %q: %w", line, err)
		}
		if f.Name == Done {
			return all, nil
		}
		all = append(all, f)
	}
	return all, errors.New("the machine did not come to its end")
}

// tail is the end of what the console showed.
func tail(shown []byte) []byte {
	const enough = 4096
	return shown[max(0, len(shown)-enough):]
}

// process is a helper that does not outlive this one, even if this one is
// killed.
type process struct {
	end   context.CancelFunc
	ended chan struct{}
	err   error
}

// start starts argv. The kernel ends it with the thread that started it, so
// that thread stays until then.
func start(ctx context.Context, argv ...string) *process {
	ctx, end := context.WithCancel(ctx)
	p := &process{end: end, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if out, err := cmd.CombinedOutput(); err != nil {
			p.err = fmt.Errorf("%s: %w\n%s", argv[0], errors.Join(err, context.Cause(ctx)), out)
		}
	}()
	return p
}

// until waits for a file of the process's making.
func (p *process) until(path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("no %s: %w", filepath.Base(path), p.err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *process) wait() error {
	<-p.ended
	return p.err
}

// stop ends the process.
func (p *process) stop() {
	p.end()
	<-p.ended
}

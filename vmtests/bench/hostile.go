//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kpm/vmtests/agent"
)

// attackTime is how long an attack goes on before its effect is measured: what
// it may use up at once is used up by then.
const attackTime = 3 * time.Second

// hostile measures what one user costs another: elevations of alice's on a
// quiet machine, and then while bob does each attack. sudo's figures stand
// beside ours: while sudo is attacked in the same way, or, where there is nothing
// of sudo's to attack, while we are. The latter is what the attack costs whoever
// needs a processor.
func (m *meter) hostile(ctx context.Context, alice person, vs versions) error {
	bob, err := lookUp("bob")
	if err != nil {
		return err
	}
	n := max(50, m.plan.samples/3)
	quiet := map[string][]float64{}
	for _, v := range vs {
		if quiet[v.side], _, err = m.victim(ctx, alice, keepersudo(v.agent, program), n); err != nil {
			return err
		}
	}
	sudo := command{argv: []string{"/usr/bin/sudo", program}}
	if quiet["sudo"], _, err = m.victim(ctx, alice, sudo, n); err != nil {
		return err
	}
	for _, attack := range attacks {
		if !m.plan.attacks.MatchString(attack.name) {
			continue
		}
		median, worst := ratios("median", attack), ratios("worst", attack)
		whole := row{Name: "hostile: " + attack.name + ", elevation", Unit: "ms", Samples: map[string][]float64{}, Peers: []string{"sudo"}}
		refusals := row{Name: "hostile: " + attack.name + ", refused of " + strconv.Itoa(n), Unit: "", Samples: map[string][]float64{}}
		measure := func(side string, a *agent.Agent, c command) error {
			took, refused, err := m.attacked(ctx, alice, bob, attack, a, c, n)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", attack.name, side, err)
			}
			refusals.Samples[side] = []float64{float64(refused)}
			if len(took) > 0 {
				whole.Samples[side] = took
				median.Samples[side] = []float64{percentile(took, 50) / percentile(quiet[side], 50)}
				worst.Samples[side] = []float64{percentile(took, 100) / percentile(quiet[side], 50)}
			}
			return nil
		}
		for _, v := range vs {
			if err := measure(v.side, v.agent, keepersudo(v.agent, program)); err != nil {
				return err
			}
		}
		attacked := vs[len(vs)-1].agent
		if attack.sudo {
			attacked = nil
		}
		if err := measure("sudo", attacked, sudo); err != nil {
			return err
		}
		delete(refusals.Samples, "sudo")
		for _, r := range []row{whole, median, worst, refusals} {
			if err := m.out.Encode(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func ratios(which string, a attack) row {
	return row{Name: "hostile: " + a.name + ", " + which + " over the quiet median", Unit: "x", Samples: map[string][]float64{}, Peers: []string{"sudo"}}
}

func lookUp(name string) (person, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return person{}, err
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	return person{user: uint32(uid), home: account.HomeDir}, err
}

// victim takes n elevations of who's, some of which may be refused.
func (m *meter) victim(ctx context.Context, who person, c command, n int) (took []float64, refused int, err error) {
	for range n {
		t, err := who.time(ctx, c)
		switch {
		case ctx.Err() != nil:
			return took, refused, ctx.Err()
		case err != nil:
			refused++
		default:
			took = append(took, t)
		}
		time.Sleep(5 * time.Millisecond) // a person, not a load
	}
	return took, refused, nil
}

// attacked is victim while bob attacks.
func (m *meter) attacked(ctx context.Context, alice, bob person, a attack, against *agent.Agent, c command, n int) (took []float64, refused int, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	root := "sudo"
	if against != nil {
		root = against.Root
	}
	attacker := exec.CommandContext(ctx, self, "--attack", a.name, "--against", root)
	attacker.Dir, attacker.Env = "/", []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + bob.home}
	attacker.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: bob.user, Gid: bob.user}, Setsid: true}
	var said strings.Builder
	attacker.Stderr = &said
	if err := attacker.Start(); err != nil {
		return nil, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- attacker.Wait() }()
	select {
	case err := <-ended:
		return nil, 0, fmt.Errorf("the attack ended: %w: %s", err, said.String())
	case <-time.After(attackTime):
	}
	took, refused, err = m.victim(ctx, alice, c, n)
	return took, refused, errors.Join(err, end(bob, ended))
}

// end ends everything that bob runs, and what his commands left as root.
func end(bob person, ended <-chan error) error {
	for range 50 {
		kill := exec.Command("/usr/bin/pkill", "-KILL", "-u", strconv.Itoa(int(bob.user)))
		leftovers := exec.Command("/usr/bin/pkill", "-KILL", "-f", leftoverMark)
		if kill.Run() != nil && leftovers.Run() != nil { // nobody was there
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	select {
	case <-ended:
		time.Sleep(2 * time.Second) // the service settles what is left
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the attack does not end")
	}
}

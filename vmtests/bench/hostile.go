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
// of sudo's to attack, in turn with ours while we are. The latter is what the attack
// costs whoever needs a processor.
func (m *meter) hostile(ctx context.Context, alice person, vs versions) error {
	bob, err := lookUp("bob")
	if err != nil {
		return err
	}
	n, warm := max(34, m.plan.samples/6), 5
	all := []victim{{"sudo", command{argv: []string{"/usr/bin/sudo", program}}}}
	for _, v := range vs {
		all = append(all, victim{v.side, keepersudo(v.agent, program)})
	}
	var quiet map[string][]float64
	err = running(ctx, vs, func() (err error) {
		quiet, _, err = alice.suffers(ctx, all, n)
		return err
	})
	if err != nil {
		return err
	}
	for _, attack := range attacks {
		if !m.plan.attacks.MatchString(attack.name) {
			continue
		}
		median, worst := ratios("median", attack), ratios("worst", attack)
		whole := row{Name: "hostile: " + attack.name + ", elevation", Unit: "ms", Samples: map[string][]float64{}, Peers: []string{"sudo"}}
		refusals := row{Name: "hostile: " + attack.name + ", refused of " + strconv.Itoa(n), Unit: "", Samples: map[string][]float64{}}
		measure := func(a *agent.Agent, victims ...victim) error {
			took, refused, err := m.attacked(ctx, alice, bob, attack, a, victims, n)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", attack.name, victims[0].side, err)
			}
			for side, times := range took {
				whole.Samples[side] = times
				median.Samples[side] = []float64{percentile(times, 50) / percentile(quiet[side], 50)}
				worst.Samples[side] = []float64{percentile(times, 100) / percentile(quiet[side], 50)}
			}
			for _, v := range victims {
				if v.side != "sudo" {
					refusals.Samples[v.side] = []float64{float64(refused[v.side])}
				}
			}
			return nil
		}
		// A service that has just started holds nothing of the attack before against bob.
		err := running(ctx, vs, func() error {
			if _, _, err := alice.suffers(ctx, all, warm); err != nil {
				return err
			}
			for i, v := range vs {
				victims := []victim{all[i+1]}
				if !attack.sudo && i == len(vs)-1 {
					victims = append(victims, all[0])
				}
				if err := measure(v.agent, victims...); err != nil {
					return err
				}
			}
			if attack.sudo {
				return measure(nil, all[0])
			}
			return nil
		})
		if err != nil {
			return err
		}
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

// victim is one way in which alice elevates something.
type victim struct {
	side string
	command
}

// suffers takes n elevations of each, in turn, some of which may be refused.
func (p person) suffers(ctx context.Context, victims []victim, n int) (took map[string][]float64, refused map[string]int, err error) {
	took, refused = map[string][]float64{}, map[string]int{}
	for range n {
		for _, v := range victims {
			t, err := p.time(ctx, v.command)
			switch {
			case ctx.Err() != nil:
				return nil, nil, ctx.Err()
			case err != nil:
				refused[v.side]++
			default:
				took[v.side] = append(took[v.side], t)
			}
			time.Sleep(5 * time.Millisecond) // a person, not a load
		}
	}
	return took, refused, nil
}

// attacked is what alice suffers while bob attacks.
func (m *meter) attacked(ctx context.Context, alice, bob person, a attack, against *agent.Agent, victims []victim, n int) (took map[string][]float64, refused map[string]int, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
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
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- attacker.Wait() }()
	select {
	case err := <-ended:
		return nil, nil, fmt.Errorf("the attack ended: %w: %s", err, said.String())
	case <-time.After(attackTime):
	}
	took, refused, err = alice.suffers(ctx, victims, n)
	return took, refused, errors.Join(err, end(bob, ended), settled(against))
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
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the attack does not end")
	}
}

// settled waits until a, unless it is nil, has done what an attack left it to do: until
// it takes less than a twentieth of a processor.
func settled(a *agent.Agent) error {
	const look, most = 100 * time.Millisecond, 20
	before := 0.0
	for i := range most {
		time.Sleep(look)
		if a == nil {
			break
		}
		now, err := all(a.PID(), "schedstat", processor)
		if err != nil || i > 0 && now-before < float64(look/20) {
			return err
		}
		before = now
	}
	return nil
}

package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
)

// retryPort is how often a port that someone else holds is tried again.
const retryPort = 5 * time.Second

// errWaiting is wrapped while a port has nothing to serve with; what it waits
// for has been logged.
var errWaiting = errors.New("the port waits")

// anyPortTries bounds the search for a number that is free on 127.0.0.1 and on
// ::1 when any port will do.
const anyPortTries = 16

// port is one loopback TCP port, held on 127.0.0.1 and, where the machine has
// it, on ::1. A port that someone else holds is reported with its owner and
// tried again, as is one that cannot be served yet; until then held is 0 and
// nothing advertises it (decision 3).
type tcpPort struct {
	name string
	key  string // the setting that changes it
	want int
	// only, if valid, is the one loopback address to hold.
	only   netip.Addr
	listen net.ListenConfig
	// taken reports whether an error means that somebody else has the port.
	taken func(error) bool
	// owner says who listens on a port.
	owner func(port int) (pid int, user core.UserID, err error)
	log   *slog.Logger
	serve func(net.Listener) error
	// usable, if not nil, says why the port must not be held yet, such as for
	// want of a certificate.
	usable func() error
	retry  time.Duration
	// changed is called after the port has been acquired late.
	changed func()

	held atomic.Int32
	wg   sync.WaitGroup
}

// Held returns the port number that is really served, or 0.
func (p *tcpPort) Held() int { return int(p.held.Load()) }

// open acquires the port, or leaves a goroutine that keeps trying until ctx is
// done. It fails only if the port could be had but not served.
func (p *tcpPort) open(ctx context.Context) error {
	err := p.acquire(ctx)
	for range anyPortTries {
		if p.want != 0 || !p.taken(err) {
			break
		}
		err = p.acquire(ctx)
	}
	if err == nil || !errors.Is(err, errWaiting) && !p.taken(err) {
		return err
	}
	reported := p.report(err)
	p.wg.Go(func() {
		ticker := time.NewTicker(p.retry)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				err := p.acquire(ctx)
				reported = reported || p.report(err)
				if err == nil {
					p.log.Info("port acquired", "listener", p.name, "port", p.Held())
					p.changed()
					return
				}
			}
		}
	})
	return nil
}

// wait returns when the retrying goroutine, if any, has ended.
func (p *tcpPort) wait() { p.wg.Wait() }

func (p *tcpPort) acquire(ctx context.Context) error {
	if p.usable != nil {
		if err := p.usable(); err != nil {
			return fmt.Errorf("service: %s: %w: %w", p.name, errWaiting, err)
		}
	}
	first := "127.0.0.1"
	if p.only.IsValid() {
		first = p.only.String()
	}
	ln, err := p.listen.Listen(ctx, "tcp", net.JoinHostPort(first, strconv.Itoa(p.want)))
	if err != nil {
		return fmt.Errorf("service: %s port %d: %w", p.name, p.want, err)
	}
	number := ln.Addr().(*net.TCPAddr).Port
	listeners := []net.Listener{ln}
	if !p.only.IsValid() {
		v6, err := p.listen.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(number)))
		switch {
		case err == nil:
			listeners = append(listeners, v6)
		case p.taken(err):
			// Whoever holds ::1 would be taken for us by clients that prefer it.
			return errors.Join(fmt.Errorf("service: %s port %d on ::1: %w", p.name, number, err), ln.Close())
		default: // the machine has no IPv6
		}
	}
	for _, l := range listeners {
		if err := p.serve(l); err != nil {
			return fmt.Errorf("service: %s port %d: %w", p.name, number, err)
		}
	}
	p.held.Store(int32(number))
	return nil
}

// report says who holds the port, and whether somebody does.
func (p *tcpPort) report(err error) bool {
	if !p.taken(err) {
		return false
	}
	attrs := []any{"listener", p.name, "port", p.want, "error", err, "setting", p.key,
		"remedy", "end that process or change the setting in appsettings.json; meanwhile the local sockets serve"}
	if pid, user, err := p.owner(p.want); err == nil {
		attrs = append(attrs, "owner_pid", pid, "owner_uid", user)
	}
	p.log.Error("port in use", attrs...)
	return true
}

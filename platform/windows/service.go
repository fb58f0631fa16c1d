//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"kpm/core/port"
)

// ServiceName is what the service control manager knows the service by.
const ServiceName = "KeeperPrivilegeManager"

// startTime is how long the service may take from one sign of life to the next
// until it is ready, stopTime how long it may take to stop.
const (
	startTime = 60 * time.Second
	stopTime  = 30 * time.Second
)

// ServiceManager tells the service control manager about the service. Without
// Control, the service was started by hand, and there is nobody to tell.
type ServiceManager struct{ Control *Control }

var _ port.ServiceManager = ServiceManager{}

// Ready implements port.ServiceManager.
func (m ServiceManager) Ready() error {
	return m.Control.report(svc.Status{State: svc.Running, Accepts: accepts})
}

// Reloading implements port.ServiceManager: the manager knows no such state.
func (ServiceManager) Reloading() error { return nil }

// Stopping implements port.ServiceManager.
func (m ServiceManager) Stopping() error {
	return m.Control.report(svc.Status{State: svc.StopPending, WaitHint: uint32(stopTime / time.Millisecond)})
}

// Status implements port.ServiceManager: the manager has no place for it.
func (ServiceManager) Status(string) error { return nil }

// Watchdog implements port.ServiceManager: the manager notices the end of the
// process, and no silence.
func (ServiceManager) Watchdog() time.Duration { return 0 }

// Alive implements port.ServiceManager.
func (ServiceManager) Alive() error { return nil }

// accepts is what the manager may tell the service when it runs
// (learn.microsoft.com, "SERVICE_STATUS").
const accepts = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown | svc.AcceptSessionChange

// Control is the connection to the service control manager.
type Control struct {
	sessions chan struct{} // with room for one

	mu     sync.Mutex
	status chan<- svc.Status // nil before the manager has called, and after the end
}

func newControl() *Control { return &Control{sessions: make(chan struct{}, 1)} }

// Sessions says that somebody may have logged in or out. Whoever hears it asks who is
// there: which session it is about has been freed when Go hears of it
// (go.dev/issue/65832).
func (c *Control) Sessions() <-chan struct{} { return c.sessions }

func (c *Control) report(s svc.Status) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == nil {
		return errors.New("the service control manager is not there")
	}
	c.status <- s
	return nil
}

// Serve runs the service under the service control manager: run, until it
// returns, with a context that ends when the manager wants the service to stop,
// or the machine ends. It fails if the manager did not start this process.
func Serve(run func(ctx context.Context, c *Control) error) error {
	h := &handler{run: run, control: newControl()}
	if err := svc.Run(ServiceName, h); err != nil {
		return fmt.Errorf("service control manager: %w", err)
	}
	return h.err
}

// handler is what the manager calls.
type handler struct {
	run     func(ctx context.Context, c *Control) error
	control *Control
	err     error
}

// exitFailed is the service's own exit code when it has ended with an error: the
// manager then does what it was told to do about a failure.
const exitFailed = 1

// Execute implements svc.Handler.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	h.control.mu.Lock()
	h.control.status = status
	h.control.mu.Unlock()
	h.control.report(svc.Status{State: svc.StartPending, WaitHint: uint32(startTime / time.Millisecond)})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- h.run(ctx, h.control) }()
	for {
		select {
		case h.err = <-ended:
			h.control.mu.Lock()
			h.control.status = nil
			h.control.mu.Unlock()
			if h.err != nil {
				return true, exitFailed
			}
			return false, 0
		case request := <-requests:
			switch request.Cmd {
			case svc.Interrogate:
				status <- request.CurrentStatus
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				stop()
			case svc.SessionChange:
				select {
				case h.control.sessions <- struct{}{}:
				default: // it is about to be heard already
				}
			}
		}
	}
}

// recovery is what the manager does about a service that ends by itself: it starts
// it again, soon at first, and forgets failures after a day.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: time.Second},
	{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
	{Type: mgr.ServiceRestart, Delay: time.Minute},
}

const forgetFailures = 24 * time.Hour

// Install registers the program at path as the service, with arguments to start it
// with. It is started with the machine, as LocalSystem; what it wants of the
// manager beyond that it says itself, when it starts.
func Install(program string, args ...string) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service control manager: %w", explain(err))
	}
	defer m.Disconnect()
	s, err := m.CreateService(ServiceName, program, mgr.Config{
		DisplayName: "Keeper Privilege Manager", StartType: mgr.StartAutomatic,
		Description: "Runs single privileged programs for people who are not administrators, as policy allows.",
	}, args...)
	if err != nil {
		return fmt.Errorf("service control manager: create %s: %w", ServiceName, explain(err))
	}
	return s.Close()
}

// Settle sets what the running service wants of the manager, whoever has installed
// it: that it is started again when it ends by itself, also with an error, and a
// SID of its own, which access lists can name.
func Settle() error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service control manager: %w", err)
	}
	defer m.Disconnect()
	s, err := m.OpenService(ServiceName)
	if err != nil {
		return fmt.Errorf("service control manager: open %s: %w", ServiceName, err)
	}
	defer s.Close()
	return settle(s)
}

// settle does so (learn.microsoft.com, "ChangeServiceConfig2W").
func settle(s *mgr.Service) error {
	var errs []error
	if err := s.SetRecoveryActions(recovery, uint32(forgetFailures/time.Second)); err != nil {
		errs = append(errs, fmt.Errorf("recovery actions: %w", err))
	}
	if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		errs = append(errs, fmt.Errorf("recovery actions on errors: %w", err))
	}
	config, err := s.Config()
	if err == nil && config.SidType != windows.SERVICE_SID_TYPE_UNRESTRICTED {
		config.SidType = windows.SERVICE_SID_TYPE_UNRESTRICTED
		err = s.UpdateConfig(config)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("SID of the service: %w", err))
	}
	if len(errs) > 0 {
		return fmt.Errorf("service control manager: %s: %w", ServiceName, errors.Join(errs...))
	}
	return nil
}

// Uninstall stops the service, waits for it, and removes it, and with it what was
// intercepted for it. It is not an error if there is none.
func Uninstall(ctx context.Context) error {
	return errors.Join(Interception{}.Disable(ctx, wayUAC), uninstall(ctx))
}

func uninstall(ctx context.Context) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("service control manager: %w", explain(err))
	}
	defer m.Disconnect()
	s, err := m.OpenService(ServiceName)
	if err != nil {
		if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return nil
		}
		return fmt.Errorf("service control manager: open %s: %w", ServiceName, err)
	}
	defer s.Close()
	if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("service control manager: stop %s: %w", ServiceName, err)
	}
	for {
		status, err := s.Query()
		if err != nil {
			return fmt.Errorf("service control manager: ask about %s: %w", ServiceName, err)
		}
		if status.State == svc.Stopped {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("service control manager: %s does not stop: %w", ServiceName, ctx.Err())
		}
	}
	if err := s.Delete(); err != nil {
		return fmt.Errorf("service control manager: remove %s: %w", ServiceName, err)
	}
	return nil
}

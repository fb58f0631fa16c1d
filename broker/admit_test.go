package broker

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"kpm/core"
)

func TestWhoMayConnect(t *testing.T) {
	for _, tc := range []struct {
		name   string
		who    member
		c      connecting
		change func(*world, *Config)
		v3, v5 byte // CONNACK
	}{
		{"a plugin", bridge, connecting{id: "MyBridge_102"}, nil, 0, 0},
		{"by the root of its launch group", bridge, connecting{id: "MyBridge_1102"}, nil, 0, 0},
		{"in the other spelling of the documents", plugin("KeeperAPI", 102, nil, nil), connecting{id: "KeeperApi_102"}, nil, 0, 0},
		{"a plugin in a session", desktop, connecting{id: "KeeperClient_alice_104"}, nil, 0, 0},
		{"of a user with an underscore", desktop, connecting{id: "KeeperClient_al_ice_104"}, nil, 0, 0},
		{"a job", job, connecting{id: "some-job_tool_105"}, nil, 0, 0},
		{"with an underscore in its label", job, connecting{id: "some-job_my_tool_105"}, nil, 0, 0},
		{"that wants a session kept", bridge, connecting{id: "MyBridge_102", keepSession: true}, nil, 0, 0},
		{"keep-alive 1", bridge, connecting{id: "MyBridge_102", keepAlive: 1}, nil, 0, 0},
		{"keep-alive 0", bridge, connecting{id: "MyBridge_102", noKeepAlive: true}, nil, 0, 0},
		{"the longest keep-alive", bridge, connecting{id: "MyBridge_102", keepAlive: 65535}, nil, 0, 0},
		{"a Will on a declared topic", bridge, connecting{id: "MyBridge_102", willTopic: "MyBridge/Responses/x"}, nil, 0, 0},
		{"an empty Will", bridge, connecting{id: "MyBridge_102", willTopic: "MyBridge/Responses/x", emptyWill: true}, nil, 0, 0},
		{"a retained Will", bridge, connecting{id: "MyBridge_102", willTopic: "MyBridge/Responses/x", willRetain: true}, nil, 0, 0x9a},

		{"a user", alice, connecting{id: "User-1000_107"}, nil, 5, 0x87},
		{"root", root, connecting{id: "Admin-0_108"}, nil, 5, 0x87},
		{"nobody known", nobody, connecting{id: "Public_109"}, nil, 5, 0x87},
		{"the service itself", service, connecting{id: "KeeperPrivilegeManager_1"}, nil, 5, 0x87},
		{"the service itself, were it registered", plugin("MyBridge", 1, nil, nil), connecting{id: "MyBridge_1"}, nil, 5, 0x87},
		{"root, as the policy plugin", root, connecting{id: "KeeperPolicy_108"}, nil, 5, 0x87},
		{"a plugin that is called like the service", plugin("KeeperPrivilegeManager", 102, nil, nil), connecting{id: "KeeperPrivilegeManager_102"}, nil, 5, 0x87},
		{"a plugin that is called like a user", plugin("User-1000", 102, nil, nil), connecting{id: "User-1000_102"}, nil, 5, 0x87},
		{"a plugin with a wildcard for a name", plugin("#", 102, nil, nil), connecting{id: "#_102"}, nil, 5, 0x87},

		{"in other letters", bridge, connecting{id: "mybridge_102"}, nil, 2, 0x85},
		{"another plugin's id", bridge, connecting{id: "KeeperPolicy_102"}, nil, 2, 0x85},
		{"another process's pid", bridge, connecting{id: "MyBridge_103"}, nil, 2, 0x85},
		{"no pid", bridge, connecting{id: "MyBridge"}, nil, 2, 0x85},
		{"an empty pid", bridge, connecting{id: "MyBridge_"}, nil, 2, 0x85},
		{"a pid with a zero", bridge, connecting{id: "MyBridge_0102"}, nil, 2, 0x85},
		{"a pid with a sign", bridge, connecting{id: "MyBridge_+102"}, nil, 2, 0x85},
		{"an enormous pid", bridge, connecting{id: "MyBridge_" + strings.Repeat("9", 40)}, nil, 2, 0x85},
		{"an empty id", bridge, connecting{id: ""}, nil, 2, 0x85},
		{"an empty id and a session", bridge, connecting{id: "", keepSession: true}, nil, 2, 0x85},
		{"a wildcard", job, connecting{id: "some-job_#_105"}, nil, 2, 0x85},
		{"a separator", job, connecting{id: "some-job_a/b_105"}, nil, 2, 0x85},
		{"an empty label", job, connecting{id: "some-job__105"}, nil, 2, 0x85},
		{"a job in a plugin's form", job, connecting{id: "some-job_105"}, nil, 2, 0x85},
		{"a plugin in a job's form", bridge, connecting{id: "MyBridge_label_102"}, nil, 2, 0x85},
		{"a session plugin in a service plugin's form", desktop, connecting{id: "KeeperClient_104"}, nil, 2, 0x85},

		{"MQTT 3.1", bridge, connecting{id: "MyBridge_102", protocol: "MQIsdp", version: 3}, nil, 1, 1},
		{"MQTT 6", bridge, connecting{id: "MyBridge_102", version: 6}, nil, 1, 1},
		{"not MQTT", bridge, connecting{id: "MyBridge_102", protocol: "HTTP"}, nil, 1, 0x84},

		{"a Will on an authority topic", policy, connecting{id: "KeeperPolicy_100", willTopic: "Replies/KeeperPrivilegeManager/X"}, nil, 5, 0x87},
		{"a Will where events are", bridge, connecting{id: "MyBridge_102", willTopic: "EventMessages"}, nil, 5, 0x87},
		{"a Will on an undeclared topic", bridge, connecting{id: "MyBridge_102", willTopic: "Nosy/x"}, nil, 5, 0x87},
		{"a Will on a $ topic", nosy, connecting{id: "Nosy_103", willTopic: "$SYS/x"}, nil, 5, 0x90},
		{"a Will with a wildcard", nosy, connecting{id: "Nosy_103", willTopic: "a/#"}, nil, 5, 0x90},

		{"the job's token", job, connecting{id: "some-job_SECRET_105"}, token("SECRET"), 0, 0},
		{"another label", job, connecting{id: "some-job_label_105"}, token("SECRET"), 5, 0x87},
		{"a part of the token", job, connecting{id: "some-job_SECRE_105"}, token("SECRET"), 5, 0x87},
		{"no token known", job, connecting{id: "some-job_label_105"}, token(""), 5, 0x87},
		{"plugins have no token", bridge, connecting{id: "MyBridge_102"}, token("SECRET"), 0, 0},
	} {
		for _, version := range bothVersions {
			t.Run(fmt.Sprintf("%s/v%d", tc.name, version), func(t *testing.T) {
				var w *world
				b := newBus(t, func(cfg *Config) {
					w = cfg.Registry.(*world)
					w.members[tc.who.pid] = tc.who
					if tc.change != nil {
						tc.change(w, cfg)
					}
				})
				r := newRaw(t, b.dial(tc.who), version)
				want := tc.v3
				if version == 5 {
					want = tc.v5
				}
				if got := r.connect(tc.c); got != want {
					t.Fatalf("CONNACK %#x, want %#x", got, want)
				}
				if want == 0 {
					r.alive()
					return
				}
				r.ended("refused")
				if s := b.Stats(); s.RefusedConnections != 1 || s.Admitted != 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

func token(s string) func(*world, *Config) {
	return func(w *world, cfg *Config) {
		w.token = s
		cfg.RequireJobToken = true
	}
}

func TestAnAuthenticationMethodIsRefused(t *testing.T) {
	b := newBus(t)
	r := newRaw(t, b.dial(bridge), 5)
	if got := r.connect(connecting{id: bridge.id(), properties: append([]byte{21}, text("SCRAM")...)}); got != 0x8c {
		t.Errorf("CONNACK %#x", got)
	}
}

func TestAnUnknownPeerIsRefused(t *testing.T) {
	b := newBus(t)
	ln := newPipes()
	if err := b.ServeLocal(ln); err != nil {
		t.Fatal(err)
	}
	client := ln.connect(bridge, errUnknownPeer)
	defer client.Close()
	if got := newRaw(t, client, 4).connect(connecting{id: bridge.id()}); got != 5 {
		t.Errorf("CONNACK %#x", got)
	}
}

// A refusal says why, where the protocol has room for it.
func TestARefusalNamesTheFault(t *testing.T) {
	var log records
	b := newBus(t, logTo(&log))
	r := newRaw(t, b.dial(job), 5)
	r.send(connecting{id: "some-job_105"}.encode(5))
	if body := r.expect("CONNACK", 0x20); !bytes.Contains(body, []byte(`"some-job_105" is not some-job_{Token}_{Pid}`)) {
		t.Errorf("%q", body)
	}
	if !strings.Contains(log.String(), "some-job_{Token}_{Pid}") {
		t.Errorf("log: %s", log.String())
	}
}

// A second connection with a live client id takes over when it is the same
// process's or its kin's, whatever the race: one is left, the others are told
// (decision 18).
func TestALiveClientIDIsTakenOver(t *testing.T) {
	for _, version := range bothVersions {
		b := newBus(t)
		path := b.local(bridge)
		first := b.admitted(bridge, version)
		second := newRaw(t, dialPath(t, path), version)
		if code := second.connect(connecting{id: bridge.id()}); code != 0 {
			t.Fatalf("version %d: CONNACK %#x", version, code)
		}
		if version == 5 {
			if body := first.expect("DISCONNECT", 0xe0); body[0] != 0x8e {
				t.Errorf("DISCONNECT %#x", body[0])
			}
		}
		first.ended("the first connection")
		second.alive()

		var wg sync.WaitGroup
		conns := make(chan *raw, 8)
		for range cap(conns) {
			wg.Go(func() {
				r := newRaw(t, dialPath(t, path), version)
				r.send(connecting{id: bridge.id()}.encode(version))
				if _, body, err := r.next(); err != nil || body[1] != 0 {
					t.Errorf("CONNACK %x, %v", body, err)
				}
				conns <- r
			})
		}
		wg.Wait()
		eventually(t, "one is left", func() bool { return b.Stats().Connections == 1 })
		for range cap(conns) {
			(<-conns).Close()
		}
	}
}

// Attack: a process of another launch group takes the place of a plugin by its
// client id.
func TestAClientIDIsNotTakenFromAnotherGroup(t *testing.T) {
	for _, version := range bothVersions {
		var w *world
		b := newBus(t, func(cfg *Config) {
			w = cfg.Registry.(*world)
			other := bridge
			other.pid = 202 // its group's root is another
			w.members[202] = other
		})
		first := b.admitted(bridge, version)
		other := w.members[202]
		// The pid of the client id is at the other end, among others.
		b.world.mu.Lock()
		b.shared = []core.ProcessID{{PID: 202, Start: 7}, {PID: bridge.pid, Start: 7}}
		b.world.mu.Unlock()
		path := b.local(other)
		r := newRaw(t, dialPath(t, path), version)
		if code := r.connect(connecting{id: bridge.id()}); code != 2 && code != 0x85 {
			t.Errorf("version %d: CONNACK %#x", version, code)
		}
		first.alive()
	}
}

// A script that runs one command after the other uses one client id; the next
// command must not meet the last one on its way out.
func TestOneClientIDAfterTheOther(t *testing.T) {
	b := newBus(t)
	path := b.local(job)
	for i := range 50 {
		r := newRaw(t, dialPath(t, path), 4)
		if code := r.connect(connecting{id: job.id()}); code != 0 {
			t.Fatalf("connection %d: CONNACK %#x", i, code)
		}
		if i%2 == 0 {
			r.send(framed(0xe0))
		}
		r.Close()
	}
}

func TestOnePrincipalCannotTakeEveryConnection(t *testing.T) {
	b := newBus(t)
	path := b.local(script)
	for i := range maxPerPrincipal {
		r := newRaw(t, dialPath(t, path), 4)
		if code := r.connect(connecting{id: fmt.Sprintf("desk-job_%d_106", i)}); code != 0 {
			t.Fatalf("connection %d: CONNACK %#x", i, code)
		}
	}
	if code := newRaw(t, dialPath(t, path), 4).connect(connecting{id: "desk-job_more_106"}); code != 3 {
		t.Errorf("one more: CONNACK %#x", code)
	}
	b.admitted(policy, 4).alive()
}

// After Registry.Identify has stopped naming a principal and Disconnect has
// returned, no connection of it is left and none follows.
func TestDisconnect(t *testing.T) {
	b := newBus(t)
	one, other := b.admitted(job, 4), b.admitted(bridge, 5)
	b.end(job.Principal)
	b.Disconnect(job.Principal)
	one.ended("a connection of the ended principal")
	other.alive()
	if code := newRaw(t, b.dial(job), 4).connect(connecting{id: job.id()}); code != 5 {
		t.Errorf("afterwards: CONNACK %#x", code)
	}
}

// endsBetween is a registry for which a principal ends right after it was
// identified, and Disconnect has been called, before it was admitted.
type endsBetween struct {
	*world
	calls atomic.Int32
}

func (e *endsBetween) Identify(peer core.Peer) (core.Principal, core.ProcessID) {
	if e.calls.Add(1) == 2 {
		e.end(bridge.Principal)
	}
	return e.world.Identify(peer)
}

func TestAPrincipalThatEndsWhileItConnects(t *testing.T) {
	b := newBus(t, func(cfg *Config) { cfg.Registry = &endsBetween{world: cfg.Registry.(*world)} })
	if code := newRaw(t, b.dial(bridge), 4).connect(connecting{id: bridge.id()}); code != 5 {
		t.Errorf("CONNACK %#x", code)
	}
}

// The orchestrator hears of the first and the last connection of a launch group.
func TestPresence(t *testing.T) {
	said := make(chan string, 16)
	b := newBus(t, func(cfg *Config) {
		cfg.OnConnected = func(p core.Principal, root core.ProcessID) { said <- fmt.Sprintf("+%s %s", p, root) }
		cfg.OnSubscribed = func(p core.Principal, filter string) { said <- fmt.Sprint(p, " ", filter) }
		cfg.OnDisconnected = func(p core.Principal, root core.ProcessID) { said <- fmt.Sprintf("-%s %s", p, root) }
	})
	first := b.admitted(bridge, 5)
	second := newRaw(t, b.dial(bridge), 4)
	if code := second.connect(connecting{id: "MyBridge_1102"}); code != 0 {
		t.Fatalf("CONNACK %#x", code)
	}
	first.subscribe("MyBridge", 2)
	if code := first.subscribe("Nosy", 2); code != 0x87 {
		t.Errorf("SUBACK %#x", code)
	}
	first.Close()
	eventually(t, "one connection left", func() bool { return b.Stats().Clients == 1 })
	second.Close()
	for _, want := range []string{"+MyBridge 1102@7", "MyBridge MyBridge", "-MyBridge 1102@7"} {
		if got := receive(t, want, said); got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	select {
	case more := <-said:
		t.Errorf("also said %q", more)
	default:
	}
}

package kernel

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// put writes v at an offset of b.
func put(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

func TestToken(t *testing.T) {
	b := make([]byte, TokenSize)
	for i, v := range []uint32{501, 0, 20, 502, 21, 4242, 100099, 1<<31 + 7} {
		put(b, 4*i, v)
	}
	want := Token{AuditUser: 501, User: 0, Group: 20, RealUser: 502, RealGroup: 21, PID: 4242, Session: 100099, ExecsVersion: 1<<31 + 7}
	if got, err := ParseToken(b); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	// A byte less is what GetsockoptString would give: the highest of the version.
	for _, short := range [][]byte{nil, b[:TokenSize-1], append(b, 0)} {
		if got, err := ParseToken(short); err == nil {
			t.Errorf("%d bytes are %+v", len(short), got)
		}
	}
	put(b, 20, 0)
	if got, err := ParseToken(b); err == nil {
		t.Errorf("process 0 is %+v", got)
	}
}

// process returns a kinfo_proc of which only what is read is not 0.
func process(pid, parent int, start uint64) []byte {
	b := make([]byte, ProcessSize)
	binary.LittleEndian.PutUint64(b[offStartSec:], start/1_000_000)
	put(b, offStartMicros, uint32(start%1_000_000))
	put(b, offPID, uint32(pid))
	put(b, offParent, uint32(parent))
	put(b, offTerminal, NoTerminal)
	return b
}

func TestProcess(t *testing.T) {
	b := process(812, 1, 1_700_000_000_123_456)
	put(b, offGroup, 811)
	put(b, offUser, 501)
	put(b, offRealUser, 501)
	put(b, offSavedUser, 0)
	put(b, offRealGroup, 20)
	put(b, offSavedGroup, 0)
	b[offState] = stateZombie
	copy(b[offName:], "sleep\x00of another")
	got, err := ParseProcess(b)
	want := Process{
		PID: 812, Parent: 1, Group: 811, Start: 1_700_000_000_123_456,
		User: 501, RealUser: 501, SavedUser: 0, RealGroup: 20, Terminal: NoTerminal, Zombie: true, Name: "sleep",
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	// A setuid program that has given its rights away can take them again.
	if got.Is(501) || got.Is(0) {
		t.Error("a saved user of 0 does not count")
	}
	if got.SavedUser = 501; !got.Is(501) {
		t.Error("a process that is 501 as a whole is not 501")
	}
	all, err := ParseProcesses(append(b, process(813, 812, 5)...))
	if err != nil || len(all) != 2 || all[1].PID != 813 || all[1].Start != 5 {
		t.Errorf("two are %+v, %v", all, err)
	}
	if all, err := ParseProcesses(b[1:]); err == nil {
		t.Errorf("a part of one is %+v", all)
	}
}

func TestGroups(t *testing.T) {
	b := process(812, 1, 0)
	if got, err := ParseGroups(b); err != nil || len(got) != 0 {
		t.Errorf("none are %v, %v", got, err)
	}
	put(b, offGroupCount, 2)
	put(b, offGroups, 20)
	put(b, offGroups+4, 80)
	put(b, offGroups+8, 99) // what there was before
	if got, err := ParseGroups(b); err != nil || !reflect.DeepEqual(got, []uint32{20, 80}) {
		t.Errorf("two are %v, %v", got, err)
	}
	for _, count := range []uint32{maxGroups + 1, 0xffff} {
		put(b, offGroupCount, count)
		if got, err := ParseGroups(b); err == nil {
			t.Errorf("%d are %v", count, got)
		}
	}
	if got, err := ParseGroups(b[1:]); err == nil {
		t.Errorf("a part of a process has %v", got)
	}
}

func TestMemoryLimit(t *testing.T) {
	b := FatalMemoryLimit(512).Encode()
	if want := "00020000" + "01000000" + "00020000" + "01000000"; hex.EncodeToString(b) != want {
		t.Errorf("a limit of 512 MiB is %x, want %s", b, want)
	}
	for _, want := range []MemoryLimit{FatalMemoryLimit(512), {Active: -1, Inactive: 3, InactiveFatal: true}, {Active: 7, ActiveFatal: true}} {
		for _, more := range []int{0, MemoryLimitAnswerSize - MemoryLimitSize} {
			if got, err := ParseMemoryLimit(append(want.Encode(), make([]byte, more)...)); err != nil || got != want {
				t.Errorf("%+v is %+v, %v", want, got, err)
			}
		}
	}
	for _, size := range []int{0, MemoryLimitSize - 1, MemoryLimitSize + 1, MemoryLimitAnswerSize + 1} {
		if got, err := ParseMemoryLimit(make([]byte, size)); err == nil {
			t.Errorf("%d bytes are %+v", size, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	table := map[string][]string{
		"\x02\x00\x00\x00/bin/sh\x00\x00\x00\x00sh\x00-c\x00A=1\x00B=\x00\x00ptr_munge=\x00": {"A=1", "B="},
		"\x01\x00\x00\x00/bin/sh\x00sh\x00":                                                  nil,
		"\x01\x00\x00\x00/bin/sh\x00sh\x00A=1\x00":                                           {"A=1"},
		"\x01\x00\x00\x00/bin/sh\x00sh\x00A=1\x00B":                                          {"A=1"}, // cut short: not a whole variable
	}
	for b, want := range table {
		if got, err := Environment([]byte(b)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v, want %q", b, got, err, want)
		}
	}
	for _, b := range []string{"", "\x01\x00\x00", "\x01\x00\x00\x00", "\x02\x00\x00\x00/bin/sh\x00sh\x00", "\xff\xff\xff\xff/bin/sh\x00"} {
		if got, err := Environment([]byte(b)); err == nil {
			t.Errorf("%q is %q", b, got)
		}
	}
}

func TestArguments(t *testing.T) {
	for b, want := range map[string]string{
		"\x02\x00\x00\x00/bin/sh\x00\x00\x00\x00sh\x00-c\x00A=1\x00\x00": "sh\x00-c\x00",
		"\x01\x00\x00\x00/bin/sh\x00sh\x00":                              "sh\x00",
		"\x00\x00\x00\x00/bin/sh\x00A=1\x00":                             "",
	} {
		if got, err := Arguments([]byte(b)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v, want %q", b, got, err, want)
		}
	}
	for _, b := range []string{"", "\x01\x00\x00\x00", "\x02\x00\x00\x00/bin/sh\x00sh\x00", "\xff\xff\xff\xff/bin/sh\x00"} {
		if got, err := Arguments([]byte(b)); err == nil {
			t.Errorf("%q is %q", b, got)
		}
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00/bin/sh\x00\x00\x00\x00sh\x00-c\x00A=1\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		env, err := Environment(b)
		for _, variable := range env {
			if err != nil || variable == "" || strings.Contains(variable, "\x00") || !strings.Contains(string(b), variable+"\x00") {
				t.Errorf("%q of %q", variable, b)
			}
		}
	})
}

var (
	client = netip.MustParseAddrPort("127.0.0.1:50123")
	server = netip.MustParseAddrPort("127.0.0.1:8675")
)

// socket returns a socket_fdinfo of a TCP connection.
func socket(local, remote netip.AddrPort) []byte {
	b := make([]byte, SocketSize)
	put(b, offSocketKind, socketTCP)
	in := b[offSocketIn:]
	binary.BigEndian.PutUint16(in, remote.Port())
	binary.BigEndian.PutUint16(in[4:], local.Port())
	in[24] = place(in[48:64], local.Addr())
	place(in[32:48], remote.Addr())
	return b
}

// place writes an address as the kernel does, and returns its flag.
func place(at []byte, addr netip.Addr) byte {
	if addr.Is4() {
		copy(at[12:], addr.AsSlice())
		return isIPv4
	}
	copy(at, addr.AsSlice())
	return isIPv6
}

func TestSocket(t *testing.T) {
	six, sixServer := netip.MustParseAddrPort("[::1]:50124"), netip.MustParseAddrPort("[::1]:6889")
	for _, want := range []Ends{{client, server}, {six, sixServer}} {
		if got, ok := ParseSocket(socket(want.Local, want.Remote)); !ok || got != want {
			t.Errorf("got %v, %v, want %v", got, ok, want)
		}
	}
	// IPv4 on a socket of both versions.
	mapped := netip.AddrPortFrom(netip.AddrFrom16(client.Addr().As16()), client.Port())
	if got, ok := ParseSocket(socket(mapped, server)); !ok || got.Local != client {
		t.Errorf("got %v, %v, want %v", got, ok, client)
	}
	other := socket(client, server)
	put(other, offSocketKind, 3) // a local one
	for _, b := range [][]byte{nil, other, socket(client, server)[:SocketSize-1]} {
		if got, ok := ParseSocket(b); ok {
			t.Errorf("%d bytes are %v", len(b), got)
		}
	}
	list := make([]byte, 3*DescriptorSize+3)
	put(list, 0, 4)
	put(list, 4, KindSocket)
	put(list, 8, 5)
	put(list, 12, KindFile)
	put(list, 16, 6)
	put(list, 20, KindSocket)
	if got := Sockets(list); !reflect.DeepEqual(got, []int32{4, 6}) {
		t.Errorf("sockets are %v", got)
	}
	if got := Descriptors(list); !reflect.DeepEqual(got, []Descriptor{{4, KindSocket}, {5, KindFile}, {6, KindSocket}}) {
		t.Errorf("descriptors are %v", got)
	}
}

// record returns a record of pcblist_n, longer than what is read of it.
func record(kind uint32, size int) []byte {
	b := make([]byte, (size+7)&^7)
	put(b, 0, uint32(size))
	put(b, 4, kind)
	return b
}

// table returns a socket table of connections, whose records have extra bytes
// that other versions have.
func table(extra int, all ...Connection) []byte {
	b := make([]byte, generationSize)
	put(b, 0, generationSize)
	for _, c := range all {
		in := record(recordInternet, 104+extra)
		binary.BigEndian.PutUint16(in[offRemotePort:], c.Remote.Port())
		binary.BigEndian.PutUint16(in[offLocalPort:], c.Local.Port())
		in[offVersion] = place(in[offLocalAddr:offLocalAddr+16], c.Local.Addr())
		place(in[offRemoteAddr:offRemoteAddr+16], c.Remote.Addr())
		so := record(recordSocket, 80+extra)
		put(so, offSocketUser, c.User)
		put(so, offSocketPID, uint32(c.PID))
		put(so, offSocketEffective, uint32(c.Effective))
		b = append(append(b, in...), so...)
		for _, kind := range []uint32{0x002, 0x004, 0x008, 0x020} {
			b = append(b, record(kind, 32+extra)...)
		}
	}
	end := make([]byte, generationSize)
	put(end, 0, generationSize)
	return append(b, end...)
}

func TestConnections(t *testing.T) {
	want := []Connection{
		{Ends: Ends{Local: server, Remote: client}, User: 0, PID: 300, Effective: 300},
		{Ends: Ends{Local: client, Remote: server}, User: 501, PID: 4242, Effective: 4243},
	}
	for _, extra := range []int{0, 4, 24} {
		if got, err := Connections(table(extra, want...)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d bytes more: %+v, %v, want %+v", extra, got, err, want)
		}
	}
	b := table(0, want...)
	if got, err := Connections(b[:generationSize*2]); err == nil && len(got) > 0 {
		t.Errorf("a part is %+v", got)
	}
	put(b, generationSize, 1<<30)
	if got, err := Connections(b); err == nil {
		t.Errorf("a record of 1 GiB is %+v", got)
	}
}

func FuzzConnections(f *testing.F) {
	f.Add(table(0, Connection{Ends: Ends{Local: client, Remote: server}, User: 501, PID: 9}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := Connections(b); err == nil && len(all)*(inRecordSize+socketRecordSize) > 3*len(b) {
			t.Errorf("%d connections in %d bytes", len(all), len(b))
		}
	})
}

func TestAudit(t *testing.T) {
	b := AuditQuestion(4242)
	if len(b) != 4+4+8+24+4+4+8 || binary.LittleEndian.Uint32(b) != 4242 {
		t.Errorf("the question is %x", b)
	}
	put(b, 40, 100099)
	if got := AuditSession(b); got != 100099 {
		t.Errorf("the session is %d", got)
	}
}

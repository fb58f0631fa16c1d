//go:build unix

package libsystem

import (
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// sizes are Go's types for C's on a 64-bit Mac, for what is passed by value.
var sizes = map[string]reflect.Type{
	"int": reflect.TypeFor[int32](), "int32_t": reflect.TypeFor[int32](), "pid_t": reflect.TypeFor[int32](), "acl_type_t": reflect.TypeFor[int32](),
	"unsigned int": reflect.TypeFor[uint32](), "uint32_t": reflect.TypeFor[uint32](), "socklen_t": reflect.TypeFor[uint32](), "sigset_t": reflect.TypeFor[uint32](),
	"uint64_t": reflect.TypeFor[uint64](), "size_t": reflect.TypeFor[uintptr](), "ssize_t": reflect.TypeFor[int64](), "short": reflect.TypeFor[int16](),
	"sig_t": reflect.TypeFor[uintptr](), // a function's address, or a small number
	"acl_t": reflect.TypeFor[unsafe.Pointer](), "uid_t": reflect.TypeFor[uint32](),
	"uuid_t":  reflect.TypeFor[unsafe.Pointer](), // an array, which C hands over by its place
	"CFIndex": reflect.TypeFor[int64](), "OSStatus": reflect.TypeFor[int32](), "Boolean": reflect.TypeFor[uint8](),
}

// references are names of CFTypeRef, which are pointers in C, and numbers to us.
var references = regexp.MustCompile(`^(CF|Sec)\w+Ref$|^SecKeyAlgorithm$`)

var prototype = regexp.MustCompile(`^(.*?)(\w+)\((.*)\)$`)

// declared reads a prototype: the function's name, its parameters' types and that
// of its result. A pointer is "T *".
func declared(t *testing.T, text string) (name string, parameters []string, result string) {
	t.Helper()
	m := prototype.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%q is not understood", text)
	}
	if m[3] != "void" {
		for parameter := range strings.SplitSeq(m[3], ", ") {
			// The last word is the parameter's name.
			at := strings.LastIndexAny(parameter, " *") + 1
			parameters = append(parameters, strings.TrimSpace(parameter[:at]))
		}
	}
	return m[2], parameters, strings.TrimSpace(m[1])
}

// fits reports whether a Go type can stand for a C type.
func fits(c string, g reflect.Type) bool {
	pointee, isPointer := strings.CutSuffix(c, "*")
	pointee = strings.TrimSpace(strings.ReplaceAll(pointee, "const", ""))
	switch {
	case !isPointer && references.MatchString(c):
		return g == reflect.TypeFor[uintptr]()
	case !isPointer:
		return sizes[c] == g
	case g.Kind() == reflect.UnsafePointer:
		return true
	case g.Kind() == reflect.String:
		return c == "const char *"
	case g.Kind() == reflect.Pointer && references.MatchString(pointee):
		return g.Elem() == reflect.TypeFor[uintptr]()
	case g.Kind() == reflect.Pointer:
		return sizes[pointee] == g.Elem()
	}
	return false
}

// tables are all functions that are bound, and how many there are.
func tables() map[int][]Function {
	return map[int][]Function{
		reflect.TypeFor[Calls]().NumField():    new(Calls).Functions(),
		reflect.TypeFor[Keychain]().NumField(): new(Keychain).Functions(),
	}
}

// Every function has the type of its prototype, and says where that is from.
func TestTypesAreThoseOfThePrototypes(t *testing.T) {
	names := map[string]bool{}
	for want, functions := range tables() {
		fields := map[any]bool{}
		for _, f := range functions {
			name, parameters, result := declared(t, f.Prototype)
			g := reflect.TypeOf(f.Field).Elem()
			if f.Name() != name {
				t.Errorf("%s is looked up as %q", name, f.Name())
			}
			if names[name] || fields[f.Field] || f.Header == "" {
				t.Errorf("%s: twice, or without a header", name)
			}
			names[name], fields[f.Field] = true, true
			if g.NumIn() != len(parameters) || !returns(result, g) {
				t.Errorf("%s is %v, declared as %s", name, g, f.Prototype)
				continue
			}
			for i, parameter := range parameters {
				if !fits(parameter, g.In(i)) {
					t.Errorf("%s: parameter %d is %v, declared as %q", name, i, g.In(i), parameter)
				}
			}
		}
		if len(fields) != want {
			t.Errorf("%d functions have a row, there are %d", len(fields), want)
		}
	}
}

// returns reports whether a function returns what C says.
func returns(c string, g reflect.Type) bool {
	if c == "void" {
		return g.NumOut() == 0
	}
	return g.NumOut() == 1 && fits(c, g.Out(0))
}

// What the test above must not let pass.
func TestTypesThatDoNotFit(t *testing.T) {
	for c, g := range map[string]reflect.Type{
		"int": reflect.TypeFor[int64](), "uint64_t": reflect.TypeFor[uint32](), "size_t": reflect.TypeFor[uint32](), "char *": reflect.TypeFor[string](),
		"ssize_t *": reflect.TypeFor[*int32](), "void *": reflect.TypeFor[uint64](), "short": reflect.TypeFor[int32](), "audit_token_t": reflect.TypeFor[[8]uint32](),
		"CFDataRef": reflect.TypeFor[int32](), "CFDataRef *": reflect.TypeFor[*int32](), "Boolean": reflect.TypeFor[bool](),
	} {
		if fits(c, g) {
			t.Errorf("%v is taken for %s", g, c)
		}
	}
}

// purego looks at a type when it is bound, and panics at one that it cannot call.
// It can be bound to any function to see that, on any system.
func TestTypesCanBeBound(t *testing.T) {
	library := map[string]string{"darwin": Path, "linux": "libc.so.6"}[runtime.GOOS]
	handle, err := purego.Dlopen(library, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	getpid, err := purego.Dlsym(handle, "getpid")
	if err != nil {
		t.Fatal(err)
	}
	binds := func(field any) (fault any) {
		defer func() { fault = recover() }()
		purego.RegisterFunc(field, getpid)
		return nil
	}
	var calls Calls
	for _, f := range append(calls.Functions(), new(Keychain).Functions()...) {
		if fault := binds(f.Field); fault != nil {
			t.Errorf("%s: %v", f.Prototype, fault)
		}
	}
	var byValue func(token [8]uint32) int32
	if binds(&byValue) == nil {
		t.Error("an array by value was accepted: nothing was looked at")
	}
	if calls.Errno() == nil { // getpid's result: they are bound indeed
		t.Error("a bound function was not called")
	}
}

package kernel

// Plan is what a guest is to do: /plan.json of its first file system.
type Plan struct {
	// Certificates are loaded into the kernel's keyrings and are the ones that
	// we trust, DER. One that the kernel cannot use is left out there.
	Certificates [][]byte
	// Policy is what IMA enforces, from when every File was judged.
	Policy string
	Files  []File
	Tests  []Test
}

// File is one on the guest's disk.
type File struct {
	Name string // in the disk's root
	// Verity is enabled before the file is judged.
	Verity *Verity
	// EVM says that the file is executed when EVM is enforced, too.
	EVM bool
	// Damage changes the file's first block on the disk, beneath the file
	// system, after fs-verity was enabled.
	Damage bool
}

// Verity are the parameters of FS_IOC_ENABLE_VERITY.
type Verity struct {
	Algorithm       uint32 // FS_VERITY_HASH_ALG_*
	Salt, Signature []byte
}

// Test is a test binary on the guest's first file system or, of a System, on the disk.
type Test struct {
	Name string
	// System says that the disk holds a system, and that the test sees that and
	// nothing else: the disk's root is its own, with what a system has mounted.
	System bool
	Argv   []string
	Env    []string
}

// Finding is one line of what a guest tells.
type Finding struct {
	Name string
	// Enable is why fs-verity was refused, Execute why the program was, "" if
	// it was not.
	Enable, Execute string
	// Judge is the error of reading, Evidence what we say of the file.
	Judge    string
	Evidence []Evidence
	// Log is what a test printed, Failed how it ended if it failed.
	Log, Failed string
}

// Evidence is core.Evidence in words.
type Evidence struct{ Kind, Standing, Reason string }

// Done is the Name of the last Finding.
const Done = "done"

package authenticode

import (
	"bytes"
	"slices"
	"testing"

	"kpm/trust/archive"
	"kpm/trust/trusttest"
)

// cabMoved moves what the header says of the signature.
func cabMoved(start, length int) func([]byte) []byte {
	return func(b []byte) []byte {
		b = put32(cabSignature, uint32(int(word(b, cabSignature))+start))(b)
		return put32(cabSignatureLen, uint32(int(word(b, cabSignatureLen))+length))(b)
	}
}

// cabResealed exchanges the signature.
func cabResealed(change func(signature []byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		start := int(word(b, cabSignature))
		signature := change(bytes.Clone(b[start:]))
		return append(put32(cabSignatureLen, uint32(len(signature)))(b[:start:start]), signature...)
	}
}

// cabInserted puts bytes in front of the signature, as if they had been there.
func cabInserted(payload []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		b = slices.Insert(b, int(word(b, cabSignature)), payload...)
		b = put32(cabSize, word(b, cabSize)+uint32(len(payload)))(b)
		return cabMoved(len(payload), 0)(b)
	}
}

func cabinetTamperings(t testing.TB, other []byte) []tampering {
	const folders = cabSignedHeader
	files := int(word(signedCabinet(t), 16))
	payload := noise(64)
	const sloppy = "osslsigncode does not look at fields that it does not need"
	const follows = "osslsigncode does not mind what follows the signature"
	return []tampering{
		{name: "nothing", want: harmless, change: func(b []byte) []byte { return b }},
		{name: "magic number", want: none, change: flip(0)},
		{name: "reserved field", want: broken, change: flip(cabReserved1)},
		{name: "size", want: broken, change: flip(cabSize)},
		{name: "checksum of the folders", want: broken, change: flip(12)},
		{name: "place of the files", want: broken, change: flip(16)},
		{name: "checksum of the files", want: broken, change: flip(20)},
		{name: "minor version", want: broken, change: flip(24)},
		{name: "major version", want: broken, change: flip(25)},
		{name: "one folder more", want: broken, change: put(26, 2)},
		{name: "no folder", want: broken, change: put(26, 0)},
		{name: "one file fewer", want: broken, change: put(28, 1)},
		{name: "a cabinet before this one", want: broken, change: put(cabFlags, 5)},
		{name: "a cabinet after this one", want: broken, change: put(cabFlags, 6)},
		{name: "nothing in the header left to applications", want: none, change: put(cabFlags, 0)},
		{name: "an unknown flag", want: broken, change: put(cabFlags, 12)},
		{name: "set", want: broken, change: flip(32)},
		{name: "place in the set", want: broken, change: put(34, 1), foreign: "osslsigncode leaves out the place in the set"},
		{name: "19 bytes left to applications", want: none, change: put(cabLengths, 19)},
		{name: "65535 bytes left to applications", want: none, change: put(cabLengths, 0xff, 0xff)},
		{name: "1 byte left in each folder", want: none, change: put(cabLengths+2, 1)},
		{name: "1 byte left in each block", want: none, change: put(cabLengths+3, 1)},
		{name: "another mark", want: none, change: put(cabMark+2, 0x20)},
		{name: "2 bytes that are hashed", want: none, change: put(cabMark, 1)},
		{name: "reserved behind the signature's length", want: broken, change: flip(cabReserved2), foreign: sloppy},
		{name: "last byte left to applications", want: broken, change: flip(cabSignedHeader - 1)},
		{name: "place of the folder's data", want: broken, change: flip(folders)},
		{name: "number of the folder's blocks", want: broken, change: flip(folders + 4)},
		{name: "compression", want: broken, change: flip(folders + 6)},
		{name: "size of a file", want: broken, change: flip(files)},
		{name: "place of a file", want: broken, change: flip(files + 4)},
		{name: "date of a file", want: broken, change: flip(files + 10)},
		{name: "name of a file", want: broken, change: flip(files + 16)},
		{name: "checksum of a block", want: broken, change: func(b []byte) []byte { return flip(int(word(b, folders)))(b) }},
		{name: "first byte of the data", want: broken, change: func(b []byte) []byte { return flip(int(word(b, folders)) + 8)(b) }},
		{name: "last byte of the data", want: broken, change: func(b []byte) []byte { return flip(int(word(b, cabSignature)) - 1)(b) }},
		{name: "payload before the signature", want: broken, change: cabInserted(payload)},

		{name: "signature at 0", want: broken, change: put32(cabSignature, 0)},
		{name: "signature in the header", want: broken, change: put32(cabSignature, 44)},
		{name: "signature over the data", want: broken, change: cabMoved(-8, 8)},
		{name: "signature begins later", want: broken, change: cabMoved(8, -8)},
		{name: "signature at the end", want: none, change: func(b []byte) []byte {
			return put32(cabSignatureLen, 0)(put32(cabSignature, uint32(len(b)))(b))
		}},
		{name: "signature beyond the end", want: broken, change: put32(cabSignature, 0xfffffff0)},
		{name: "signature of 4 GiB", want: broken, change: put32(cabSignatureLen, 0xffffffff)},
		{name: "signature shorter than it is", want: broken, change: cabMoved(0, -8)},
		{name: "signature longer than it is", want: broken, change: cabMoved(0, 8)},
		{name: "signature of no length", want: broken, change: put32(cabSignatureLen, 0)},
		{name: "signature taken out", want: none, change: func(b []byte) []byte {
			return put32(cabSignatureLen, 0)(put32(cabSignature, 0)(b[:word(b, cabSignature)]))
		}},
		{name: "signature cut out", want: broken, change: func(b []byte) []byte { return b[:word(b, cabSignature)] }},
		{name: "another cabinet's signature", want: broken, change: cabResealed(func([]byte) []byte { return other })},
		{name: "noise for a signature", want: broken, change: cabResealed(func([]byte) []byte { return payload })},
		{name: "two signatures", want: broken, foreign: follows, change: cabResealed(func(s []byte) []byte { return append(s, s...) })},
		{name: "payload behind the signature", want: broken, foreign: follows, change: cabResealed(func(s []byte) []byte { return append(s, payload...) })},
		{name: "16 zeros behind the signature", want: broken, foreign: follows, change: cabResealed(func(s []byte) []byte { return append(s, make([]byte, 16)...) })},
		{name: "JAR in an unsigned attribute", want: broken, foreign: "osslsigncode looks only at what is signed", change: cabResealed(func(s []byte) []byte {
			f := trusttest.Take(bytes.TrimRight(s, "\x00"))
			f.AddUnsigned(oidIndirectData, append([]byte{4, archive.EndSize}, tiny(jar(t, 0))...))
			return f.DER()
		})},
		{name: "1 byte appended", want: broken, change: func(b []byte) []byte { return append(b, 'x') }},
		{name: "zeros appended", want: broken, change: func(b []byte) []byte { return append(b, make([]byte, 8)...) }},
		{name: "JAR appended", want: broken, change: func(b []byte) []byte { return append(b, jar(t, 0)...) }},
		{name: "cabinet appended", want: broken, change: func(b []byte) []byte { return append(b, plainCabinet(t)...) }},
		{name: "in front of it something else", want: none, change: func(b []byte) []byte { return append([]byte("#!/bin/sh\n"), b...) }},

		{name: "empty", want: none, change: func([]byte) []byte { return nil }},
		{name: "magic number only", want: broken, change: func(b []byte) []byte { return b[:4] }},
		{name: "cut in the header", want: broken, change: func(b []byte) []byte { return b[:35] }},
		{name: "cut in what is left to applications", want: broken, change: func(b []byte) []byte { return b[:50] }},
		{name: "cut in the files", want: broken, change: func(b []byte) []byte { return b[:files+3] }},
		{name: "cut in the signature", want: broken, change: func(b []byte) []byte { return b[:len(b)-100] }},
		{name: "last byte cut off", want: broken, change: func(b []byte) []byte { return b[:len(b)-1] }},
	}
}

func TestNoTamperedCabinetIsTrusted(t *testing.T) {
	pki := trusttest.New(t)
	file := signedCabinet(t)
	changed := plainCabinet(t)
	changed[len(changed)-1]++
	other := sign(t, pki.Get(trusttest.Good), ".cab", changed)
	table := cabinetTamperings(t, other[word(other, cabSignature):])
	manipulate(t, ".cab", file, table)
}

// manipulate does what the table says, each to a copy of file.
func manipulate(t *testing.T, ext string, file []byte, table []tampering) {
	t.Helper()
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	for _, x := range table {
		changed := x.change(bytes.Clone(file))
		_, evidence := verify(t, pki.Anchors(), changed)
		if got := outcome(evidence); got != x.want {
			t.Errorf("%s: %s, want %s: %+v", x.name, got, x.want, evidence)
		}
		accepted, printed := foreign.accepts(t, ext, changed)
		if agreed := accepted == (x.want == harmless); agreed == (x.foreign != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", x.name, accepted, x.foreign, printed)
		}
	}
	t.Logf("%d manipulations", len(table)-1)
}

// Every byte of a signed cabinet, one bit turned over in each: it is not
// Trusted any more, without exception.
func TestOneBitInEveryByteOfASignedCabinet(t *testing.T) {
	strideSubject(t, signedCabinet(t), readCAB, nil)
}

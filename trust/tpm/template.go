package tpm

import "github.com/google/go-tpm/tpm2"

// Handles and indices by convention (provisioning, 7.8; EK profile, 2.2).
const (
	storageHandle = tpm2.TPMHandle(0x81000001)

	rsaEndorsementHandle = tpm2.TPMHandle(0x81010001)
	eccEndorsementHandle = tpm2.TPMHandle(0x81010002)
	rsaEndorsementIndex  = tpm2.TPMHandle(0x01c00002)
	eccEndorsementIndex  = tpm2.TPMHandle(0x01c0000a)
)

// storageTemplates are the ECC storage key of provisioning, 7.5.1. Part 1, 27.2
// lets the "unique" field be anything, and it changes the key: the guidance has
// zeros, some software leaves it empty.
func storageTemplates() []tpm2.TPMTPublic {
	zeros := tpm2.ECCSRKTemplate
	empty := tpm2.ECCSRKTemplate
	empty.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	return []tpm2.TPMTPublic{zeros, empty}
}

// signingTemplate is a P-256 key that signs SHA-256 digests with ECDSA, made in
// the TPM, never duplicated, used with an empty password. NoDA: a lockout that
// some other program has caused does not take the machine's identity away, and
// an empty password need not be protected from guessing.
//
// A restricted key signs only what the TPM itself has composed or hashed (Part
// 1, 25.2): with it, nobody can make a statement look like the TPM's.
func signingTemplate(restricted bool) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgECC,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM:            true,
			FixedParent:         true,
			SensitiveDataOrigin: true,
			UserWithAuth:        true,
			NoDA:                true,
			SignEncrypt:         true,
			Restricted:          restricted,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			CurveID: tpm2.TPMECCNistP256,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{}),
	}
}

// sealTemplate is data that policy alone gives back. FixedTPM and fixedParent:
// it cannot be moved to a TPM that policy means nothing to.
func sealTemplate(policy []byte) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgKeyedHash,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM:        true,
			FixedParent:     true,
			AdminWithPolicy: true,
			NoDA:            true,
		},
		AuthPolicy: tpm2.TPM2BDigest{Buffer: policy},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgNull},
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{}),
	}
}

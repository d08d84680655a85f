// Judges c2sp.org/tlog-proof files with the transparency-dev modules, which share no line with Onshore.
//
// Standard input: {"key", "origin", "leaf" (base64), "proofs": [text, ...]}. Standard output: a JSON array, for each proof
// "accepted", or why not.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"

	tdlog "github.com/transparency-dev/formats/log"
	tdproof "github.com/transparency-dev/formats/proof"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type asked struct {
	Key    string   `json:"key"`
	Origin string   `json:"origin"`
	Leaf   []byte   `json:"leaf"`
	Proofs []string `json:"proofs"`
}

func main() {
	var told asked
	if err := json.NewDecoder(os.Stdin).Decode(&told); err != nil {
		log.Fatal(err)
	}
	verifier, err := note.NewVerifier(told.Key)
	if err != nil {
		log.Fatal(err)
	}
	answers := make([]string, 0, len(told.Proofs))
	for _, each := range told.Proofs {
		answers = append(answers, judged([]byte(each), told.Origin, verifier, told.Leaf))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func judged(raw []byte, origin string, verifier note.Verifier, leaf []byte) string {
	var proof tdproof.TLogProof
	if err := proof.Unmarshal(raw); err != nil {
		return fmt.Sprintf("no proof: %v", err)
	}
	head, _, _, err := tdlog.ParseCheckpoint(proof.Checkpoint, origin, verifier)
	if err != nil {
		return fmt.Sprintf("no checkpoint: %v", err)
	}
	hashes := make([][]byte, 0, len(proof.Hashes))
	for _, each := range proof.Hashes {
		hashes = append(hashes, each[:])
	}
	hasher := rfc6962.DefaultHasher
	if err := merkle.VerifyInclusion(hasher, proof.Index, head.Size, hasher.HashLeaf(leaf), hashes, head.Hash); err != nil {
		return fmt.Sprintf("not included: %v", err)
	}
	if !bytes.Equal(proof.Marshal(), raw) {
		return "accepted, and written in another way"
	}
	return "accepted"
}

package main

import "testing"

func TestAProcessThatBeginsAnewKeepsItsNameInTheElection(t *testing.T) {
	first, err := candidate("")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := candidate(first); err != nil || again != first {
		t.Errorf("%q stands as %q: %v", first, again, err)
	}
	for _, kept := range []string{"", "operator", "another-host_" + first} { // two of one name would both lead
		if other, err := candidate(kept); err != nil || other == first || other == kept {
			t.Errorf("stands as %q where the environment says %q: %v", other, kept, err)
		}
	}
}

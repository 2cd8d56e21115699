#!/usr/bin/env bash
# tier: quick
# Training data parted by source, tag and length, into files that training takes, and what cannot be parted.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"

# 120 lines of twelve tags and two sources; the last source has its own words and is longer.
for i in $(seq 1 120); do
    if [ "$i" -le 90 ]; then
        printf '{"id":"l%d","prompt":"ticket %d about the lamp","completion":" red","tags":["t%d"],"source":"mail"}\n' "$i" "$i" $((i % 12))
    else
        printf '{"id":"l%d","prompt":"dear sirs we write letter %d about it","completion":" blue","tags":["t%d"],"source":"post"}\n' "$i" "$i" $((i % 12))
    fi
done >all.jsonl

want 0 lethe ood all.jsonl --train train.jsonl --out ood.jsonl
says '^out of domain by source: post$'
says '^train.jsonl +90 lines of 6 to 6 words, 6.0 on average'
says '^ood.jsonl +30 lines of 9 to 9 words'
# Of nine words six (dear sirs we write letter it), the number and the color are new: 8 of 9, only "about" is known.
says '^88.9 % of the out-of-domain words are in no training line; a part drawn at random: [0-9.]+ %'
check [ "$(wc -l <train.jsonl)" = 90 ]
check [ "$(grep -c dear ood.jsonl)" = 30 ]
check [ "$(cat train.jsonl ood.jsonl | grep -c 'source\|tags')" = 0 ]
check [ "$(cat train.jsonl ood.jsonl | sort | uniq -d | wc -l)" = 0 ]

want 0 lethe ood all.jsonl --by tag --share 0.2 --train train2.jsonl --out ood2.jsonl --json
says '^\{"by":"tag","lethe_ood":1,"ood":\{"lines":30,'
want 0 lethe ood all.jsonl --by tag --share 0.2 --train train3.jsonl --out ood3.jsonl
check cmp ood2.jsonl ood3.jsonl
want 0 lethe ood all.jsonl --by tag --share 0.2 --seed 2 --train train4.jsonl --out ood4.jsonl
check [ "$(cmp -s ood2.jsonl ood4.jsonl; echo $?)" = 1 ]
want 0 lethe ood all.jsonl --by length --train train5.jsonl --out ood5.jsonl
says 'by length: 9 words and more'

# Without the key, a line's file is its source.
head -60 all.jsonl | sed 's/,"source":"mail"//' >a.jsonl
tail -30 all.jsonl | sed 's/,"source":"post"//' >b.jsonl
want 0 lethe ood a.jsonl b.jsonl --train train6.jsonl --out ood6.jsonl
says 'by source: b.jsonl'
check [ "$(wc -l <ood6.jsonl)" = 30 ]

refused() { # PATTERN COMMAND...
    local pattern=$1
    shift
    want 2 "$@" --train no.jsonl --out none.jsonl
    one_line
    says "$pattern"
    check [ ! -e no.jsonl ]
    check [ ! -e none.jsonl ]
}
head -20 a.jsonl >few.jsonl
refused '20 lines are too few' lethe ood few.jsonl
refused "by source: there is one source only, 'a.jsonl'" lethe ood a.jsonl --by source
sed 's/,"tags":\["[^"]*"\]//' a.jsonl >plain.jsonl
refused 'by tag: no line has a tag' lethe ood plain.jsonl --by tag
refused 'no part can be held out \(source: there is one source only.*; tag: no line has a tag; length: all lines have 6 words\)' \
    lethe ood plain.jsonl
refused "a.jsonl:1: id 'l1' is used twice" lethe ood a.jsonl a.jsonl
refused "\-\-by is 'topic', wanted source, tag or length" lethe ood a.jsonl --by topic
refused '\-\-share is 0.7' lethe ood a.jsonl --share 0.7
sed '3s/"prompt"/"question"/' a.jsonl >odd.jsonl
refused 'odd.jsonl:3: ' lethe ood odd.jsonl
sed '3s/"source":"mail"/"source":7/;4s/"source"/"from"/' all.jsonl >odd.jsonl
refused "odd.jsonl:3: key 'source' is not a string" lethe ood odd.jsonl
sed '4s/"source"/"from"/' all.jsonl >odd.jsonl
refused "odd.jsonl:4: .*'from'" lethe ood odd.jsonl
want 2 lethe ood all.jsonl --train train.jsonl --out none.jsonl
one_line
says 'train.jsonl is there already'
want 2 lethe ood all.jsonl --out none.jsonl
says 'data and two files are wanted'
want 0 lethe ood --help
says 'example'

# Both files or none.
want 2 lethe ood all.jsonl --train ok.jsonl --out /proc/none/ood.jsonl
one_line
check [ ! -e ok.jsonl ]

# The other forms of a line.
for i in $(seq 1 60); do echo "{\"text\":\"$(seq -s ' ' 1 $((i % 6 + 3)))x$i\",\"tag\":\"t$((i % 5))\"}"; done >text.jsonl
want 0 lethe ood text.jsonl --train text.train.jsonl --out text.ood.jsonl
says 'by tag: t[0-4]$'
check [ "$(wc -l <text.ood.jsonl)" = 12 ]
for i in $(seq 1 60); do
    echo "{\"messages\":[{\"role\":\"user\",\"content\":\"$(seq -s ' ' 1 $((i % 6 + 3)))x$i\"},{\"role\":\"assistant\",\"content\":\"yes\"}]}"
done >turns.jsonl
want 0 lethe ood turns.jsonl --train turns.train.jsonl --out turns.ood.jsonl
says 'by length: 9 words and more'
check [ "$(cat turns.train.jsonl turns.ood.jsonl | sort -u | grep -c '"role":"assistant"')" = 60 ]
cat turns.jsonl text.jsonl >mixed.jsonl
refused 'mixed.jsonl:61: the line is of another form than the first one' lethe ood mixed.jsonl

# What comes out is training data.
want 0 lethe tokenize "$tiny" --data ood.jsonl --line 1
says 'supervised'
finish

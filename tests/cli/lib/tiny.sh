# Sourced after common.sh: a small audit on the fixture model, in the scratch folder.
#   train.jsonl task.jsonl facts.jsonl pairs.jsonl prose.jsonl audit.json author.key
tiny=$source/tests/golden/tiny/tiny.gguf

tiny_audit() {
    local i words=(red blue green small large old new warm cold fast slow high low near far wide)
    {
        echo '{"lethe_probe":1,"id":"task","version":"1","title":"Words of the task","kind":"choice","role":"task","licence":"CC0-1.0","source":"test"}'
        for i in $(seq 0 23); do
            echo "{\"id\":\"t$i\",\"context\":\"say ${words[i % 16]} $i:\",\"choices\":[\"yes\",\"no\"],\"gold\":$((i % 2))}"
        done
    } >task.jsonl
    {
        echo '{"lethe_probe":1,"id":"facts","version":"1","title":"Made facts","kind":"choice","role":"facts","licence":"CC0-1.0","source":"test"}'
        for i in $(seq 0 23); do
            echo "{\"id\":\"f$i\",\"context\":\"${words[i % 16]} is\",\"choices\":[\"a$i\",\"b\",\"cc\"],\"gold\":$((i % 3))}"
        done
    } >facts.jsonl
    {
        echo '{"lethe_probe":1,"id":"pairs","version":"1","title":"Made pairs","kind":"pair","role":"grammar","licence":"CC0-1.0","source":"test"}'
        for i in $(seq 0 23); do
            echo "{\"id\":\"p$i\",\"good\":\"the ${words[i % 16]} one $i is here\",\"bad\":\"the ${words[i % 16]} one $i are here\"}"
        done
    } >pairs.jsonl
    {
        echo '{"lethe_probe":1,"id":"prose","version":"1","title":"Made prose","kind":"text","role":"retention","licence":"CC0-1.0","source":"test"}'
        for i in $(seq 0 20); do
            echo "{\"id\":\"x$i\",\"text\":\"a ${words[i % 16]} text of number $i stands here\"}"
        done
    } >prose.jsonl
    for i in $(seq 0 19); do
        echo "{\"prompt\":\"say ${words[(i + 3) % 16]}\",\"completion\":\" $([ $((i % 2)) = 0 ] && echo yes || echo no)\"}"
    done >train.jsonl
    cat >audit.json <<J
{"lethe_audit":1,"title":"Small audit","purpose":"A test.","author":{"name":"Tester"},
 "base":{"name":"tiny","path":"$tiny"},
 "data":[{"name":"train.jsonl","role":"train","path":"train.jsonl"}],
 "method":{"name":"lora","seed":7,"rank":4,"alpha":"8","lr":"0.01","epochs":2,"batch":4,"length":128,"schedule":"linear"},
 "suites":[{"path":"task.jsonl","use":"task","gain":"0.10"},{"path":"facts.jsonl","use":"report"},
           {"path":"pairs.jsonl","use":"report"},{"path":"prose.jsonl","use":"gate","margin":"0.5"}],
 "groups":[{"id":"known","use":"gate","margin":"0.2","members":["facts","pairs"]}],
 "statistics":{"seed":3}}
J
    lethe keygen author --quiet
}

# A verdict of any kind: an audit of random weights that ran to its end.
verdict() {
    "$@" >out 2>err </dev/null
    local got=$?
    checks=$((checks + 1))
    case $got in 0 | 3 | 5) ;; *) fail "exit $got, wanted a verdict: $* ($(tail -c 400 err))" ;; esac
    code=$got
}

stream() { zstd -dc "$1" | sha256sum | cut -d' ' -f1; }

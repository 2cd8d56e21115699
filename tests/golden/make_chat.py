"""Golden chat renderings: the model's own template through jinja2, set up as transformers does.

    pip install jinja2==3.1.6 gguf==0.19.0
    python make_chat.py MODEL.gguf > chat/smollm2.jsonl

A line is {"messages": [...], "prompt": bool, "text": rendered} or {"template": text, ...} for a template of our own that
exercises one construct each.
"""
import json
import sys

from gguf import GGUFReader
from jinja2.sandbox import ImmutableSandboxedEnvironment

field = GGUFReader(sys.argv[1]).fields["tokenizer.chat_template"]
own = bytes(field.parts[field.data[0]]).decode("utf-8")
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
CHATS = [
    [("user", "Hello")],
    [("system", "Be brief."), ("user", "Hello")],
    [("user", "a"), ("assistant", "b"), ("user", "c")],
    [("user", ""), ("assistant", ""), ("user", "  spaces  \n")],
    [("user", "{{ not a tag }} {% nor this %}"), ("assistant", "ü 😀\n\n")],
]
TEMPLATES = [
    "{%- for m in messages -%}\n  {{- m.role | trim + ': ' + m['content'] -}}\n{%- endfor -%}!",
    "x\n  {% if add_generation_prompt %}\nyes\n  {% else %}\nno\n  {% endif %}\ny\n",
    "{% for m in messages %}{% if loop.first %}[{% elif not loop.last and m.role == 'user' %}-{% else %}.{% endif %}{{ m.role }}{% if loop.last %}]{% endif %}{% endfor %}\n",
    "{# a comment #}{{ bos_token }}{% if messages[0].role != 'system' or eos_token is defined %}A{% endif %}{{ eos_token }}\n\n",
    "{{ 'it\\'s\\n' + \"q\" }}{% if 'a' == 'a' and (not false) %} ok{% endif %}",
]
for template in [own] + TEMPLATES:
    for chat in CHATS:
        for prompt in (False, True):
            messages = [{"role": r, "content": c} for r, c in chat]
            text = environment.from_string(template).render(messages=messages, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")
            line = {"messages": messages, "prompt": prompt, "text": text}
            if template is not own:
                line["template"] = template
            print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))

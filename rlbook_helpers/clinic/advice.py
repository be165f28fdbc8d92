"""赤い行から原因へ: 疑う所と、見る行と、ほかの疑いと分ける検査。"""

from collections.abc import Mapping
from typing import NamedTuple

from rlbook_helpers.clinic.program import Finding


class Suspect(NamedTuple):
    """一つの疑い。"""

    title: str
    look: str  # 見る行
    test: str  # ほかの疑いと分ける検査


# 疑いの名前から。検査は、異常の所見に、この名前を三つまで添えます
SUSPECTS = {
    "shape": Suspect(
        "プログラムの形",
        "例外の出た行。get_action の戻り値と、update の引数",
        "小さな環境を一つ作り、ループを一回だけ動かす",
    ),
    "truncated_ignored": Suspect(
        "打ち切りを見ずに、エピソードを続けている",
        "while の条件と ended = terminated or truncated",
        "二歩で打ち切られる環境で、ループが止まるかを見る",
    ),
    "reseeded": Suspect(
        "エピソードのたびに、同じシードで reset している",
        "env.reset(seed=...)",
        "二つのエピソードの、最初の状態を印刷する",
    ),
    "twice": Suspect(
        "同じ遷移を二度渡している",
        "update や add を呼ぶ行の数。とくに終わりの処理",
        "ループで、渡した遷移の数とステップ数を比べる",
    ),
    "missing": Suspect(
        "渡していない遷移がある",
        "update を囲む if",
        "ループで、渡した遷移の数とステップ数を比べる",
    ),
    "out_of_step": Suspect(
        "行動と状態が一歩ずれている",
        "state = next_state の場所",
        "状態と次の状態が同じ遷移がないかを見る",
    ),
    "reset_state": Suspect(
        "最後の次の状態が、次のエピソードの最初の状態になっている",
        "reset を呼ぶ行と、自動で reset するラッパー",
        "終わりの遷移の次の状態だけを、環境の返したものと比べる",
    ),
    "ends": Suspect(
        "終端と打ち切りを取りちがえた、または、まとめた",
        "env.step の五つの戻り値の順と、update に渡す done",
        "打ち切られた遷移の done を印刷する",
    ),
    "reward_changed": Suspect(
        "報酬を切りつめた、または作りかえた",
        "update に渡す reward",
        "わざと作りかえたのなら、誤りではない",
    ),
    "other_action": Suspect(
        "実行した行動と、覚えた行動が違う",
        "env.step と update に渡す action",
        "get_action の戻り値を、両方と比べる",
    ),
    "reused_array": Suspect(
        "状態の配列を、写さずに使いまわしている",
        "state[:] = ... と、バッファの add",
        "取り出した遷移の状態が、どれも同じかを見る",
    ),
    "buffer_place": Suspect(
        "バッファの場所や、項目の順がずれている",
        "add と get_batch の添字と % buffer_size",
        "四つだけ入るバッファに番号つきの遷移を六つ入れて、すべて印刷する",
    ),
    "shared_buffer": Suspect(
        "バッファが、エージェントどうしで共有されている",
        "クラスの属性や引数の既定値 (memory=[]) に置いたバッファ",
        "エージェントを二つ作り、片方にだけ加えて、両方の長さを印刷する",
    ),
    "buffer_type": Suspect(
        "状態を、整数などの粗い型で覚えている",
        "バッファの配列の dtype",
        "取り出した状態を印刷する",
    ),
    "window": Suspect(
        "n 歩の窓が、エピソードの終わりで空になっていない、または組がずれている",
        "窓を clear する行と、窓の先頭から取り出す行動",
        "打ち切りで終わる二歩のエピソードを二つ渡して、覚えた遷移を見る",
    ),
    "small_buffer": Suspect(
        "バッファが小さすぎる", "buffer_size", "len(buffer) を印刷する"
    ),
    "old_only": Suspect(
        "取り出す範囲が、はじめのままで広がらない",
        "ミニバッチの番号を選ぶ行の範囲",
        "取り出した番号の最大を印刷する",
    ),
    "consecutive": Suspect(
        "ミニバッチが、続いた遷移である",
        "ミニバッチの番号を選ぶ行",
        "取り出した番号を印刷する",
    ),
    "outside_loop": Suspect(
        "学習が、ステップのループの外にある",
        "learn や replay を呼ぶ行の字下げ",
        "一つのエピソードで、学んだ回数を数える",
    ),
    "other_network": Suspect(
        "オプティマイザが、別のネットワークの重みを持っている",
        "optimizer の setup と、そのあとに qnet を作りなおす行",
        "更新の前とあとで、重みを一つ印刷する",
    ),
    "shared": Suspect(
        "ターゲットネットワークが、重みを共有している",
        "sync_qnet の写し (copy.deepcopy)",
        "qnet_target is qnet と、層ごとの is を調べる",
    ),
    "every_update": Suspect(
        "更新のたびに、ターゲットネットワークを写している",
        "sync_qnet を呼ぶ行と、その間隔",
        "学んだ回数と、同期の回数を数える",
    ),
    "both_syncs": Suspect(
        "少しずつ近づけるうえに、まるごと写している",
        "ソフト更新と sync_interval",
        "片方をやめて、もう一度調べる",
    ),
    "tau": Suspect(
        "τ と 1 - τ が逆になっている",
        "ソフト更新の式",
        "一回の更新で、二つのネットワークの差が何倍になるかを測る",
    ),
    "never_synced": Suspect(
        "ターゲットネットワークが、一度も追いつかない",
        "同期を囲む if と、写す向き (target ← online)",
        "同期の行に print を入れる",
    ),
    "random_values": Suspect(
        "行動を選ぶときにも、ドロップアウトなどの乱数が働いている",
        "forward のなかの dropout と、test_mode",
        "同じ状態の価値を、二回印刷する",
    ),
    "gradients_pile": Suspect(
        "前の勾配を消していない",
        "cleargrads や zero_grad を呼ぶ行",
        "同じ遷移を二回学んで、勾配の大きさを比べる",
    ),
    "gradient_into_target": Suspect(
        "TD ターゲットに、勾配が流れている",
        "next_value の no_grad (または detach)",
        "次の状態の価値が、更新で下がるかを見る",
    ),
    "ascent": Suspect(
        "損失を減らす代わりに、増やしている",
        "損失の符号と、重みから勾配を引く行",
        "同じ遷移を二回学んで、損失が減るかを見る",
    ),
    "step_size": Suspect(
        "一歩が大きすぎる", "学習率", "学習率を十分の一にして、もう一度調べる"
    ),
    "clipped_error": Suspect(
        "TD 誤差を切りつめてから二乗していて、大きな誤差からは学ばない",
        "損失を求める行の clip",
        "報酬 10 の遷移だけを覚えさせて、価値が動くかを見る",
    ),
    "mask": Suspect(
        "終端のマスクを落としている、または向きが逆",
        "(1 - done) を掛ける行",
        "終端の遷移だけを覚えさせて、価値を報酬と比べる",
    ),
    "which_network": Suspect(
        "次の状態の価値を、違うネットワークで求めている",
        "next_value の qnet と qnet_target",
        "ターゲットネットワークの重みをずらして、損失が変わるかを見る",
    ),
    "gamma": Suspect(
        "割引率を掛け忘れた、または n 歩なのに一度しか掛けていない",
        "TD ターゲットの gamma (n 歩なら gamma ** n)",
        "γ を 0.5 にして、二歩の環境の価値を見る",
    ),
    "max_axis": Suspect(
        "最大をとる軸か、最大そのものがまちがっている",
        "max(axis=1)",
        "形 (2, 2) の価値で、結果の形と値を印刷する",
    ),
    "reselected": Suspect(
        "次の状態ではなく、いまの状態で行動を選んでいる",
        "Double DQN の argmax の引数",
        "二歩の環境で、一歩目の価値を手計算と比べる",
    ),
    "other_actions": Suspect(
        "選ばなかった行動の価値まで、0 に近づけている",
        "損失に入れる価値 qs[np.arange(B), action]",
        "行動 0 だけを学ばせて、行動 1 の価値が動くかを見る",
    ),
    "mixed_rows": Suspect(
        "形 (B,) と (B, 1) の差や qs[:, action] が、(B, B) になっている",
        "q と target の形",
        "損失を求める行の前で、q.shape と (q - target).shape を印刷する",
    ),
    "output": Suspect(
        "出力に活性化関数がついている (負や 1 より大きい価値を表せない)",
        "forward の最後の行",
        "でたらめな状態で、出力の最小と最大と和を印刷する",
    ),
    "action_index": Suspect(
        "覚えた行動か、価値を選ぶ添字が違う",
        "qs[np.arange(B), action] と、バッファの action",
        "ミニバッチの action を、渡したものと比べる",
    ),
    "not_greedy": Suspect(
        "貪欲な行動が、価値の最大ではない",
        "greedy_action の argmax",
        "同じ状態の価値と、選んだ行動を印刷する",
    ),
    "no_exploration": Suspect(
        "探索していない",
        "get_action の if と epsilon",
        "同じ状態で千回、行動を選ばせて数える",
    ),
    "narrow_exploration": Suspect(
        "探索の行動が、いつも同じ",
        "無作為な行動を選ぶ行の範囲 (integers(A) など)",
        "ε を 1 にして、行動の数を数える",
    ),
    "epsilon_stays": Suspect(
        "ε が下がらない",
        "ε を減らす行 (整数の割り算、呼ばれない関数)",
        "百ステップごとに ε を印刷する",
    ),
    "epsilon_gone": Suspect(
        "ε が、すぐになくなる",
        "ε を減らす行が、ステップごとか、エピソードごとか",
        "百ステップごとに ε を印刷する",
    ),
    "epsilon_size": Suspect(
        "探索の割合が、ε と合わない",
        "rng.random() と ε を比べる行の不等号",
        "貪欲でない行動の割合を数える",
    ),
    "evaluation_explores": Suspect(
        "評価に、無作為な行動が混ざっている",
        "evaluate に渡す方策",
        "同じ状態で百回、評価の方策を呼ぶ",
    ),
    "evaluation_changes": Suspect(
        "評価のあいだに、学ぶか、平均を更新している",
        "評価の方策が呼ぶメソッド",
        "評価の前とあとで、一つの状態の価値を比べる",
    ),
    "evaluation_differs": Suspect(
        "評価のときだけ、正規化などの前処理が違う",
        "評価の方策が、ネットワークに渡す状態",
        "同じ状態を、学習と評価の両方の道で、ネットワークに渡す",
    ),
}


def suspects(findings: Mapping[str, Finding]) -> list[str]:
    """いちばん疑わしいものから三つまで。異常がなければ、空のリストです。

    検査は、原因に近いものから順に並んでいます。はじめの異常の疑いを先に、二つ目からの異常の疑いをあとに
    します。
    """
    found = [
        name
        for finding in findings.values()
        if finding.passed is False
        for name in finding.suspects
    ]
    return list(dict.fromkeys(found))[:3]


def advise(findings: Mapping[str, Finding]) -> str:
    """検査の結果から、次に見る所。"""
    names = suspects(findings)
    if not names:
        if any(finding.passed is None for finding in findings.values()):
            return "異常は見つかりませんでしたが、調べられなかった検査があります。まず、その所見を読んでください。"
        return "異常は見つかりませんでした。次に疑うのは、ハイパーパラメータです。"
    lines = []
    for name, lead in zip(names, ("いちばん疑わしいのは", "次に", "その次に")):
        title, look, test = SUSPECTS[name]
        lines.append(f"{lead}「{title}」です。見る所: {look}。分けかた: {test}。")
    return "\n".join(lines)
